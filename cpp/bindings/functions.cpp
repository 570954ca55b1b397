// Dense layers, losses, optimiser steps and the bare activations.
#include <string>

#include "../core/dense.h"
#include "../core/dispatch.h"
#include "../core/solver.h"
#include "arrays.h"

namespace skrnn {
namespace {

void py_dense_forward(py::handle x, py::handle weight, py::handle bias, py::handle out) {
    with_dtype_of(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const py::array input = checked<T>(x, "x", {"N", "I"}, Access::read);
        const index_t N = input.shape(0), I = input.shape(1);
        const index_t O = checked<T>(weight, "weight", {"O", I}, Access::read).shape(0);
        if (I < 1 || O < 1) refuse_value("weight", "of shape (O, I) with O >= 1 and I >= 1", weight);
        const T* const xs = required<T>(x, "x", {N, I}, Access::read);
        const T* const weights = required<T>(weight, "weight", {O, I}, Access::read);
        const T* const biases = contiguous<T>(bias, "bias", {O}, Access::read);
        T* const outs = required<T>(out, "out", {N, O}, Access::write);
        const py::gil_scoped_release release;
        dense_forward<T>(xs, weights, biases, outs, N, I, O);
    });
}

void py_dense_backward(py::handle x, py::handle weight, py::handle d_out, py::handle d_x, py::handle d_weight,
                       py::handle d_bias) {
    with_dtype_of(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const py::array input = checked<T>(x, "x", {"N", "I"}, Access::read);
        const index_t N = input.shape(0), I = input.shape(1);
        const index_t O = checked<T>(weight, "weight", {"O", I}, Access::read).shape(0);
        if (I < 1 || O < 1) refuse_value("weight", "of shape (O, I) with O >= 1 and I >= 1", weight);
        const T* const xs = required<T>(x, "x", {N, I}, Access::read);
        const T* const weights = required<T>(weight, "weight", {O, I}, Access::read);
        const T* const d_outs = required<T>(d_out, "d_out", {N, O}, Access::read);
        T* const d_xs = contiguous<T>(d_x, "d_x", {N, I}, Access::write);
        T* const d_weights = required<T>(d_weight, "d_weight", {O, I}, Access::write);
        T* const d_biases = contiguous<T>(d_bias, "d_bias", {O}, Access::write);
        const py::gil_scoped_release release;
        dense_backward<T>(xs, weights, d_outs, d_xs, d_weights, d_biases, N, I, O);
    });
}

double py_solver_step(const std::string& name, py::handle params, py::handle grads, const py::sequence& slot_sequence,
                      const py::dict& options) {
    const py::tuple slots(slot_sequence);  // holds them: a list may change during the call
    const Solver* const solver = find_solver(name);
    if (solver == nullptr)
        throw py::value_error("solver must be one of 'sgd', 'adam', 'adamw', 'nadam', 'rmsprop', 'adagrad', got '" +
                              name + "'");
    const auto option = [&](const char* key) {
        if (!options.contains(key))
            throw py::value_error("options must contain '" + std::string(key) + "' for solver '" + name + "'");
        return options[key].cast<double>();
    };
    return with_dtype_of(params, "params", [&](auto zero) {
        using T = decltype(zero);
        const index_t size = checked<T>(params, "params", {"P"}, Access::write).shape(0);
        T* const values = required<T>(params, "params", {size}, Access::write);
        const T* const gradients = required<T>(grads, "grads", {size}, Access::read);
        if (static_cast<int>(slots.size()) != solver->n_slots)
            throw py::value_error("slots must hold " + std::to_string(solver->n_slots) + " arrays for solver '" + name +
                                  "', got " + std::to_string(slots.size()));
        T* memory[2] = {};
        for (std::size_t i = 0; i < slots.size(); ++i)
            memory[i] = required<T>(slots[i], "slots", {size}, Access::write);

        SolverOptions chosen{option("learning_rate"), option("max_grad_norm"), option("decay"),
                             static_cast<index_t>(option("decay_size"))};
        if (chosen.decay_size < 0 || chosen.decay_size > size)
            throw py::value_error("options['decay_size'] must be between 0 and " + std::to_string(size) + ", got " +
                                  std::to_string(chosen.decay_size));
        if (name == "sgd") {
            chosen.momentum = option("momentum");
            chosen.nesterov = option("nesterov") != 0;
        } else if (name == "rmsprop") {
            chosen.momentum = option("momentum");
            chosen.beta_2 = option("rho");
            chosen.epsilon = option("epsilon");
        } else if (name == "adagrad") {
            chosen.epsilon = option("epsilon");
        } else {
            chosen.beta_1 = option("beta_1");
            chosen.beta_2 = option("beta_2");
            chosen.epsilon = option("epsilon");
            chosen.step = option("step");
            if (name == "nadam") {
                chosen.mu = option("mu");
                chosen.mu_next = option("mu_next");
                chosen.mu_product = option("mu_product");
            }
        }
        const py::gil_scoped_release release;
        return solver_step<T>(*solver, chosen, size, values, gradients, memory);
    });
}

template <class Choose>
void map_array(py::handle x, py::handle out, Choose choose) {
    with_dtype_of(x, "x", [&](auto zero) {
        using T = decltype(zero);
        const index_t n = checked<T>(x, "x", {"N"}, Access::read).shape(0);
        const T* const in = required<T>(x, "x", {n}, Access::read);
        T* const outs = required<T>(out, "out", {n}, Access::write);
        const py::gil_scoped_release release;
        choose(functions<T>(kernels()))(in, outs, n);
    });
}

}  // namespace

void register_functions(py::module_& m) {
    m.def("dense_forward", &py_dense_forward, py::arg("x"), py::arg("weight"), py::arg("bias").none(true),
          py::arg("out"));
    m.def("dense_backward", &py_dense_backward, py::arg("x"), py::arg("weight"), py::arg("d_out"),
          py::arg("d_x").none(true), py::arg("d_weight"), py::arg("d_bias").none(true));
    m.def("solver_step", &py_solver_step, py::arg("solver"), py::arg("params"), py::arg("grads"), py::arg("slots"),
          py::arg("options"));
    m.def(
        "exp", [](py::handle x, py::handle out) { map_array(x, out, [](const auto& f) { return f.exp; }); },
        py::arg("x"), py::arg("out"));
    m.def(
        "sigmoid", [](py::handle x, py::handle out) { map_array(x, out, [](const auto& f) { return f.sigmoid; }); },
        py::arg("x"), py::arg("out"));
    m.def(
        "tanh", [](py::handle x, py::handle out) { map_array(x, out, [](const auto& f) { return f.tanh; }); },
        py::arg("x"), py::arg("out"));
}

}  // namespace skrnn
