// Cells, instruction sets, threads, and how this was built.
#include <pybind11/stl.h>

#include <sstream>
#include <vector>

#include "../core/dispatch.h"
#include "../core/parallel.h"
#include "../core/peak.h"
#include "arrays.h"

namespace skrnn {
namespace {

py::tuple tuple_of(const std::vector<std::string>& words) {
    py::tuple tuple(words.size());
    for (std::size_t i = 0; i < words.size(); ++i) tuple[i] = words[i];
    return tuple;
}

std::vector<std::string> split(const char* text) {
    std::istringstream stream(text);
    std::vector<std::string> words;
    for (std::string word; stream >> word;) words.push_back(word);
    return words;
}

}  // namespace

void register_environment(py::module_& m) {
    py::class_<CellData>(m, "CellInfo")
        .def_readonly("name", &CellData::name)
        .def_property_readonly("gate_names", [](const CellData& cell) { return tuple_of(split(cell.gate_names)); })
        .def_readonly("n_states", &CellData::n_states)
        .def_readonly("forget_gate", &CellData::forget_gate)
        .def_readonly("keep_gate", &CellData::keep_gate)
        .def_readonly("write_gate", &CellData::write_gate)
        .def("__repr__", [](const CellData& cell) { return "<CellInfo " + std::string(cell.name) + ">"; });

    m.def("cells", [] {
        py::dict cells;
        const KernelTable& table = kernels();
        for (int i = 0; i < table.n_cells; ++i)
            cells[table.cells[i].data->name] = py::cast(table.cells[i].data, py::return_value_policy::reference);
        return cells;
    });
    m.def("activations", [] { return py::make_tuple("tanh", "relu", "linear"); });

    m.def("build_info", [] {
        py::dict info;
        info["compiler"] = SKRNN_COMPILER;
#ifdef _OPENMP
        info["openmp"] = std::to_string(_OPENMP);
#else
        info["openmp"] = "no";
#endif
        return info;
    });
    m.def("compiled_isas", [] { return tuple_of(compiled_isas()); });
    m.def("available_isas", [] { return tuple_of(available_isas()); });
    m.def("get_isa", [] { return std::string(kernels().isa); });
    m.def("set_isa", &use_isa, py::arg("name"));

    m.def(
        "set_num_threads",
        [](int n) {
            if (n < 0) throw py::value_error("n must be at least 1, or 0 for no cap, got " + std::to_string(n));
            return set_thread_cap(n);
        },
        py::arg("n"));
    m.def("get_num_threads", &max_threads);
    m.def(
        "set_work_per_thread",
        [](double multiply_adds) {
            if (!(multiply_adds > 0))
                throw py::value_error("multiply_adds must be positive, got " + std::to_string(multiply_adds));
            return set_work_per_thread(multiply_adds);
        },
        py::arg("multiply_adds"));
    m.def(
        "fma_peak",
        [](const std::string& dtype, int n_threads) {
            if (n_threads < 1) throw py::value_error("n_threads must be at least 1, got " + std::to_string(n_threads));
            if (dtype != "float32" && dtype != "float64")
                throw py::value_error("dtype must be 'float32' or 'float64', got '" + dtype + "'");
            const py::gil_scoped_release release;
            return dtype == "float32" ? fma_peak<float>(n_threads) : fma_peak<double>(n_threads);
        },
        py::arg("dtype"), py::arg("n_threads"));
}

}  // namespace skrnn
