#include "arrays.h"

namespace skrnn {
namespace {

std::string shape_text(const py::array& array) {
    std::string text = "(";
    for (py::ssize_t i = 0; i < array.ndim(); ++i)
        text += std::to_string(array.shape(i)) + (i + 1 < array.ndim() ? ", " : array.ndim() == 1 ? "," : "");
    return text + ")";
}

std::string shape_text(std::initializer_list<Dim> shape) {
    std::string text = "(";
    std::size_t i = 0;
    for (const Dim& dim : shape) {
        text += dim.symbol != nullptr ? dim.symbol : std::to_string(dim.size);
        text += ++i < shape.size() ? ", " : shape.size() == 1 ? "," : "";
    }
    return text + ")";
}

}  // namespace

std::string describe(py::handle value) {
    if (py::isinstance<py::array>(value)) {
        const auto array = py::reinterpret_borrow<py::array>(value);
        return "an array of " + py::str(array.dtype()).cast<std::string>() + " of shape " + shape_text(array);
    }
    if (value.is_none()) return "None";
    return "a " + py::str(py::type::handle_of(value).attr("__name__")).cast<std::string>();
}

void refuse_type(const char* name, const std::string& expected, py::handle value) {
    throw py::type_error(std::string(name) + " must be " + expected + ", got " + describe(value));
}

void refuse_value(const char* name, const std::string& expected, py::handle value) {
    throw py::value_error(std::string(name) + " must be " + expected + ", got " + describe(value));
}

template <class T>
py::array checked(py::handle value, const char* name, std::initializer_list<Dim> shape, Access access) {
    const auto expected = [&] {
        return std::string("an array of ") + dtype_name<T>() + " of shape " + shape_text(shape);
    };
    if (!py::isinstance<py::array>(value)) refuse_type(name, expected(), value);
    auto array = py::reinterpret_borrow<py::array>(value);
    if (!py::isinstance<py::array_t<T>>(array)) refuse_type(name, expected(), value);
    bool fits = array.ndim() == static_cast<py::ssize_t>(shape.size());
    if (fits) {
        py::ssize_t i = 0;
        for (const Dim& dim : shape) {
            if (dim.symbol == nullptr && array.shape(i) != dim.size) fits = false;
            ++i;
        }
    }
    if (!fits) refuse_value(name, expected(), value);
    if (reinterpret_cast<std::uintptr_t>(array.data()) % alignof(T) != 0)
        throw py::value_error(std::string(name) + " must be aligned to its item size");
    if (access == Access::write && !array.writeable())
        throw py::value_error(std::string(name) + " must be writable, got a read-only array");
    return array;
}

template <class T>
T* contiguous(py::handle value, const char* name, std::initializer_list<Dim> shape, Access access) {
    if (value.is_none()) return nullptr;
    const py::array array = checked<T>(value, name, shape, access);
    if ((array.flags() & py::array::c_style) == 0)
        throw py::value_error(std::string(name) + " must be C-contiguous, got an array with other strides");
    // readers never write through it; the kernels' arguments are const where they only read
    return static_cast<T*>(const_cast<void*>(array.data()));
}

bool is_float64(py::handle value, const char* name) {
    if (py::isinstance<py::array_t<float>>(value)) return false;
    if (py::isinstance<py::array_t<double>>(value)) return true;
    refuse_type(name, "a float32 or float64 array", value);
}

const std::int64_t* checked_lengths(py::handle lengths, index_t rows, index_t steps) {
    const std::int64_t* const values = contiguous<std::int64_t>(lengths, "lengths", {rows}, Access::read);
    if (values != nullptr)
        for (index_t n = 0; n < rows; ++n)
            if (values[n] < 0 || values[n] > steps)
                throw py::value_error("lengths must be between 0 and T = " + std::to_string(steps) + ", got " +
                                      std::to_string(values[n]) + " for row " + std::to_string(n));
    return values;
}

template py::array checked<float>(py::handle, const char*, std::initializer_list<Dim>, Access);
template py::array checked<double>(py::handle, const char*, std::initializer_list<Dim>, Access);
template py::array checked<std::int64_t>(py::handle, const char*, std::initializer_list<Dim>, Access);
template float* contiguous<float>(py::handle, const char*, std::initializer_list<Dim>, Access);
template double* contiguous<double>(py::handle, const char*, std::initializer_list<Dim>, Access);
template std::int64_t* contiguous<std::int64_t>(py::handle, const char*, std::initializer_list<Dim>, Access);
template py::array checked<std::uint32_t>(py::handle, const char*, std::initializer_list<Dim>, Access);
template std::uint32_t* contiguous<std::uint32_t>(py::handle, const char*, std::initializer_list<Dim>, Access);

}  // namespace skrnn
