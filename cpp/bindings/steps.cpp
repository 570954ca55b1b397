// What surrounds the recurrent layers step by step: embeddings below them, pooling above.
#include <string>

#include "../core/embedding.h"
#include "../core/pooling.h"
#include "arrays.h"

namespace skrnn {
namespace {

Tokens checked_tokens(py::handle tokens, py::handle lengths, index_t vocabulary) {
    const py::array input = checked<std::int64_t>(tokens, "tokens", {"N", "T"}, Access::read);
    const index_t N = input.shape(0), steps = input.shape(1);
    const Tokens checked{N, steps, required<std::int64_t>(tokens, "tokens", {N, steps}, Access::read),
                         checked_lengths(lengths, N, steps)};
    for (index_t n = 0; n < N; ++n)
        for (index_t t = 0; t < checked.length(n); ++t) {
            const std::int64_t token = checked.values[n * steps + t];
            if (token < 0 || token >= vocabulary)
                throw py::value_error("tokens must be between 0 and V - 1 = " + std::to_string(vocabulary - 1) +
                                      ", got " + std::to_string(token) + " at row " + std::to_string(n) + ", step " +
                                      std::to_string(t));
        }
    return checked;
}

void py_embedding_forward(py::handle tokens, py::handle lengths, py::handle weight, py::handle out) {
    with_dtype_of(weight, "weight", [&](auto zero) {
        using T = decltype(zero);
        const py::array matrix = checked<T>(weight, "weight", {"V", "E"}, Access::read);
        const index_t V = matrix.shape(0), E = matrix.shape(1);
        const T* const weights = required<T>(weight, "weight", {V, E}, Access::read);
        const Tokens read = checked_tokens(tokens, lengths, V);
        T* const outs = required<T>(out, "out", {read.rows, read.steps, E}, Access::write);
        const py::gil_scoped_release release;
        embedding_forward<T>(read, weights, outs, E);
    });
}

void py_embedding_backward(py::handle tokens, py::handle lengths, py::handle d_out, index_t padding_idx,
                           py::handle d_weight) {
    with_dtype_of(d_weight, "d_weight", [&](auto zero) {
        using T = decltype(zero);
        const py::array matrix = checked<T>(d_weight, "d_weight", {"V", "E"}, Access::write);
        const index_t V = matrix.shape(0), E = matrix.shape(1);
        T* const d_weights = required<T>(d_weight, "d_weight", {V, E}, Access::write);
        const Tokens read = checked_tokens(tokens, lengths, V);
        const T* const d_outs = required<T>(d_out, "d_out", {read.rows, read.steps, E}, Access::read);
        if (padding_idx < -1 || padding_idx >= V)
            throw py::value_error("padding_idx must be a token or -1, got " + std::to_string(padding_idx));
        const py::gil_scoped_release release;
        embedding_backward<T>(read, d_outs, padding_idx, d_weights, V, E);
    });
}

/// Calls f(shape, pointer to the values) for an array (N, T, F).
template <class F>
void with_steps(py::handle values, const char* name, Access access, py::handle lengths, F f) {
    with_dtype_of(values, name, [&](auto zero) {
        using T = decltype(zero);
        const py::array array = checked<T>(values, name, {"N", "T", "F"}, access);
        const PoolingShape shape{array.shape(0), array.shape(1), array.shape(2),
                                 checked_lengths(lengths, array.shape(0), array.shape(1))};
        f(shape, required<T>(values, name, {shape.rows, shape.steps, shape.features}, access));
    });
}

void py_mean_pooling_forward(py::handle x, py::handle lengths, py::handle out) {
    with_steps(x, "x", Access::read, lengths, [&](const PoolingShape& shape, auto* xs) {
        using T = std::remove_pointer_t<decltype(xs)>;
        T* const outs = required<T>(out, "out", {shape.rows, shape.features}, Access::write);
        const py::gil_scoped_release release;
        mean_pooling_forward<T>(shape, xs, outs);
    });
}

void py_mean_pooling_backward(py::handle d_out, py::handle lengths, py::handle d_x) {
    with_steps(d_x, "d_x", Access::write, lengths, [&](const PoolingShape& shape, auto* d_xs) {
        using T = std::remove_pointer_t<decltype(d_xs)>;
        const T* const d_outs = required<T>(d_out, "d_out", {shape.rows, shape.features}, Access::read);
        const py::gil_scoped_release release;
        mean_pooling_backward<T>(shape, d_outs, d_xs);
    });
}

void py_max_pooling_forward(py::handle x, py::handle lengths, py::handle out, py::handle best) {
    with_steps(x, "x", Access::read, lengths, [&](const PoolingShape& shape, auto* xs) {
        using T = std::remove_pointer_t<decltype(xs)>;
        T* const outs = required<T>(out, "out", {shape.rows, shape.features}, Access::write);
        std::int64_t* const steps = required<std::int64_t>(best, "best", {shape.rows, shape.features}, Access::write);
        const py::gil_scoped_release release;
        max_pooling_forward<T>(shape, xs, outs, steps);
    });
}

void py_max_pooling_backward(py::handle d_out, py::handle best, py::handle lengths, py::handle d_x) {
    with_steps(d_x, "d_x", Access::write, lengths, [&](const PoolingShape& shape, auto* d_xs) {
        using T = std::remove_pointer_t<decltype(d_xs)>;
        const T* const d_outs = required<T>(d_out, "d_out", {shape.rows, shape.features}, Access::read);
        const std::int64_t* const steps =
            required<std::int64_t>(best, "best", {shape.rows, shape.features}, Access::read);
        for (index_t n = 0; n < shape.rows; ++n) {
            const index_t length = shape.lengths == nullptr ? shape.steps : shape.lengths[n];
            for (index_t i = 0; length > 0 && i < shape.features; ++i)
                if (steps[n * shape.features + i] < 0 || steps[n * shape.features + i] >= length)
                    throw py::value_error("best must hold steps of its row, got " +
                                          std::to_string(steps[n * shape.features + i]) + " for row " +
                                          std::to_string(n));
        }
        const py::gil_scoped_release release;
        max_pooling_backward<T>(shape, d_outs, steps, d_xs);
    });
}

template <class T>
Attention<T> checked_attention(const PoolingShape& shape, py::handle weight, py::handle query, py::handle hidden,
                               py::handle alpha, Access alpha_access) {
    const index_t A = checked<T>(weight, "weight", {"A", shape.features}, Access::read).shape(0);
    if (A < 1 || shape.features < 1) refuse_value("weight", "of shape (A, F) with A >= 1 and F >= 1", weight);
    return {A,
            required<T>(weight, "weight", {A, shape.features}, Access::read),
            nullptr,
            required<T>(query, "query", {A}, Access::read),
            required<T>(hidden, "hidden", {shape.rows, shape.steps, A}, Access::write),
            required<T>(alpha, "alpha", {shape.rows, shape.steps}, alpha_access)};
}

void py_attention_pooling_forward(py::handle x, py::handle lengths, py::handle weight, py::handle bias,
                                  py::handle query, py::handle hidden, py::handle alpha, py::handle out) {
    with_steps(x, "x", Access::read, lengths, [&](const PoolingShape& shape, auto* xs) {
        using T = std::remove_pointer_t<decltype(xs)>;
        Attention<T> attention = checked_attention<T>(shape, weight, query, hidden, alpha, Access::write);
        attention.bias = required<T>(bias, "bias", {attention.units}, Access::read);
        T* const outs = required<T>(out, "out", {shape.rows, shape.features}, Access::write);
        const py::gil_scoped_release release;
        attention_pooling_forward<T>(shape, attention, xs, outs);
    });
}

void py_attention_pooling_backward(py::handle x, py::handle lengths, py::handle weight, py::handle query,
                                   py::handle hidden, py::handle alpha, py::handle d_out, py::handle d_x,
                                   py::handle d_weight, py::handle d_bias, py::handle d_query) {
    with_steps(x, "x", Access::read, lengths, [&](const PoolingShape& shape, auto* xs) {
        using T = std::remove_pointer_t<decltype(xs)>;
        const Attention<T> attention = checked_attention<T>(shape, weight, query, hidden, alpha, Access::read);
        const index_t A = attention.units, F = shape.features;
        const T* const d_outs = required<T>(d_out, "d_out", {shape.rows, F}, Access::read);
        T* const d_xs = required<T>(d_x, "d_x", {shape.rows, shape.steps, F}, Access::write);
        T* const d_weights = required<T>(d_weight, "d_weight", {A, F}, Access::write);
        T* const d_biases = required<T>(d_bias, "d_bias", {A}, Access::write);
        T* const d_queries = required<T>(d_query, "d_query", {A}, Access::write);
        const py::gil_scoped_release release;
        attention_pooling_backward<T>(shape, attention, xs, d_outs, d_xs, d_weights, d_biases, d_queries);
    });
}

}  // namespace

void register_steps(py::module_& m) {
    m.def("embedding_forward", &py_embedding_forward, py::arg("tokens"), py::arg("lengths").none(true),
          py::arg("weight"), py::arg("out"));
    m.def("embedding_backward", &py_embedding_backward, py::arg("tokens"), py::arg("lengths").none(true),
          py::arg("d_out"), py::arg("padding_idx"), py::arg("d_weight"));
    m.def("mean_pooling_forward", &py_mean_pooling_forward, py::arg("x"), py::arg("lengths").none(true),
          py::arg("out"));
    m.def("mean_pooling_backward", &py_mean_pooling_backward, py::arg("d_out"), py::arg("lengths").none(true),
          py::arg("d_x"));
    m.def("max_pooling_forward", &py_max_pooling_forward, py::arg("x"), py::arg("lengths").none(true), py::arg("out"),
          py::arg("best"));
    m.def("max_pooling_backward", &py_max_pooling_backward, py::arg("d_out"), py::arg("best"),
          py::arg("lengths").none(true), py::arg("d_x"));
    m.def("attention_pooling_forward", &py_attention_pooling_forward, py::arg("x"), py::arg("lengths").none(true),
          py::arg("weight"), py::arg("bias"), py::arg("query"), py::arg("hidden"), py::arg("alpha"), py::arg("out"));
    m.def("attention_pooling_backward", &py_attention_pooling_backward, py::arg("x"), py::arg("lengths").none(true),
          py::arg("weight"), py::arg("query"), py::arg("hidden"), py::arg("alpha"), py::arg("d_out"), py::arg("d_x"),
          py::arg("d_weight"), py::arg("d_bias"), py::arg("d_query"));
}

}  // namespace skrnn
