// The extension's table of contents.
#include "../core/dispatch.h"
#include "../core/parallel.h"
#include "arrays.h"

PYBIND11_MODULE(_core, m, pybind11::mod_gil_not_used()) {
    m.doc() = "Compiled core of scikit-rnn; see _core.pyi.";
    m.attr("__version__") = SKRNN_VERSION;
    skrnn::choose_isa_from_environment();
    skrnn::prepare_threads();
    skrnn::register_environment(m);
    skrnn::register_recurrent(m);
    skrnn::register_functions(m);
    skrnn::register_losses(m);
    skrnn::register_steps(m);
}
