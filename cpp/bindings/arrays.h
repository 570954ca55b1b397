// NumPy arrays in, pointers out: the one place that checks and raises. Nothing is converted or copied here.
#pragma once

#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>

#include <cstdint>
#include <initializer_list>
#include <string>

#include "../core/kernel_table.h"

namespace skrnn {

namespace py = pybind11;

/// One expected dimension: a number, or any number under a symbol.
struct Dim {
    index_t size;
    const char* symbol;

    Dim(index_t n) : size(n), symbol(nullptr) {}     // NOLINT: implicit on purpose, shapes read as {N, T, 3}
    Dim(const char* any) : size(-1), symbol(any) {}  // NOLINT
};

enum class Access { read, write };

template <class T>
constexpr const char* dtype_name() {
    return std::is_same_v<T, float>           ? "float32"
           : std::is_same_v<T, double>        ? "float64"
           : std::is_same_v<T, std::uint32_t> ? "uint32"
                                              : "int64";
}

std::string describe(py::handle value);

/// Raises TypeError or ValueError: "<name> must be <expected>, got <description of value>".
[[noreturn]] void refuse_type(const char* name, const std::string& expected, py::handle value);
[[noreturn]] void refuse_value(const char* name, const std::string& expected, py::handle value);

/// `value` as an array of dtype T and the given shape, aligned, writable if it is to be written; strides unchecked.
template <class T>
py::array checked(py::handle value, const char* name, std::initializer_list<Dim> shape, Access access);

/// Pointer to a C-contiguous array; null for None.
template <class T>
T* contiguous(py::handle value, const char* name, std::initializer_list<Dim> shape, Access access);

/// The same, but None is refused.
template <class T>
T* required(py::handle value, const char* name, std::initializer_list<Dim> shape, Access access) {
    if (value.is_none()) refuse_type(name, "an array", value);
    return contiguous<T>(value, name, shape, access);
}

/// True for float64, false for float32, else TypeError: the dtype that decides for a whole call.
bool is_float64(py::handle value, const char* name);

/// Calls f with a value of the floating type that `value` has.
template <class F>
decltype(auto) with_dtype_of(py::handle value, const char* name, F f) {
    return is_float64(value, name) ? f(double{}) : f(float{});
}

/// Pointer to `lengths` (N), each of 0 .. steps; null for None.
const std::int64_t* checked_lengths(py::handle lengths, index_t rows, index_t steps);

void register_environment(py::module_& m);
void register_recurrent(py::module_& m);
void register_functions(py::module_& m);
void register_losses(py::module_& m);
void register_steps(py::module_& m);

}  // namespace skrnn
