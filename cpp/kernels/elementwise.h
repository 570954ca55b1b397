// Functions over flat arrays and rows: the activations by themselves (for tests), losses, and optimiser steps.
#pragma once

#include "math.h"

namespace skrnn {
namespace {

/// out = f(x), on any number of registers.
template <class T, class F>
SKRNN_INLINE void map(const T* x, T* out, index_t n, F f) {
    constexpr index_t W = width<T>;
    index_t i = 0;
    for (; i + lockstep * W <= n; i += lockstep * W) {
        vecs<T, lockstep> v;
#pragma GCC unroll 4
        for (int k = 0; k < lockstep; ++k) v.of[k] = load<T>(x + i + k * W);
        v = f(v);
#pragma GCC unroll 4
        for (int k = 0; k < lockstep; ++k) store<T>(out + i + k * W, v.of[k]);
    }
    for (; i < n; i += W) {
        const vecs<T, 1> v = f(vecs<T, 1>{{load_up_to<T>(x + i, n - i)}});
        store_up_to<T>(out + i, v.of[0], n - i);
    }
}

template <class T>
void exp_array(const T* x, T* out, index_t n) {
    map<T>(x, out, n, [](const auto& v) SKRNN_INLINE_LAMBDA { return exp(v); });
}

template <class T>
void sigmoid_array(const T* x, T* out, index_t n) {
    map<T>(x, out, n, [](const auto& v) SKRNN_INLINE_LAMBDA { return sigmoid(v); });
}

template <class T>
void tanh_array(const T* x, T* out, index_t n) {
    map<T>(x, out, n, [](const auto& v) SKRNN_INLINE_LAMBDA { return tanh(v); });
}

/// out = softmax of one row; returns the sum that divides it, and its maximum in `largest`.
template <class T>
SKRNN_INLINE T softmax_row(const T* logits, T* out, index_t columns, T& largest) {
    largest = logits[0];
    for (index_t i = 1; i < columns; ++i) largest = logits[i] > largest ? logits[i] : largest;
    const T shift = largest;
    map<T>(logits, out, columns, [&](const auto& v) SKRNN_INLINE_LAMBDA { return exp(v - v.all(shift)); });
    T sum = out[0];
    for (index_t i = 1; i < columns; ++i) sum += out[i];
    for (index_t i = 0; i < columns; ++i) out[i] /= sum;
    return sum;
}

template <class T>
void softmax(const T* logits, T* out, index_t rows, index_t columns) {
    T largest;
    for (index_t n = 0; n < rows; ++n) softmax_row<T>(logits + n * columns, out + n * columns, columns, largest);
}

/// Loss of row n is log(sum exp(logits)) - logits[target]; its gradient softmax - one_hot(target).
template <class T>
double cross_entropy(const T* logits, const std::int64_t* target, const T* weight, T* d_logits, index_t d_stride,
                     index_t rows, index_t columns) {
    double loss = 0;
    for (index_t n = 0; n < rows; ++n, logits += columns, d_logits += d_stride) {
        T largest;
        const T sum = softmax_row<T>(logits, d_logits, columns, largest);
        const double row_loss = __builtin_log(static_cast<double>(sum)) +
                                (static_cast<double>(largest) - static_cast<double>(logits[target[n]]));
        d_logits[target[n]] -= T(1);
        if (weight == nullptr) {
            loss += row_loss;
        } else {
            loss += static_cast<double>(weight[n]) * row_loss;
            for (index_t i = 0; i < columns; ++i) d_logits[i] *= weight[n];
        }
    }
    return loss;
}

template <class T>
double squared_error(const T* prediction, const T* target, const T* weight, T* d_prediction, index_t rows,
                     index_t columns) {
    double loss = 0;
    for (index_t n = 0; n < rows; ++n) {
        const T w = weight == nullptr ? T(1) : weight[n];
        double row_loss = 0;
        for (index_t i = n * columns; i < (n + 1) * columns; ++i) {
            const T error = prediction[i] - target[i];
            row_loss += static_cast<double>(error) * static_cast<double>(error);
            if (d_prediction != nullptr) d_prediction[i] = w * error;
        }
        loss += 0.5 * static_cast<double>(w) * row_loss;
    }
    return loss;
}

/// In 16 interleaved float64 sums, whatever the vector width: the order depends on n alone.
template <class T>
double sum_of_squares(const T* x, index_t n) {
    double sum[16] = {};
    index_t i = 0;
    for (; i + 16 <= n; i += 16)
        for (index_t k = 0; k < 16; ++k) {
            const double value = static_cast<double>(x[i + k]);
            sum[k] += value * value;
        }
    for (; i < n; ++i) {
        const double value = static_cast<double>(x[i]);
        sum[i % 16] += value * value;
    }
    for (index_t half = 8; half > 0; half /= 2)
        for (index_t k = 0; k < half; ++k) sum[k] += sum[k + half];
    return sum[0];
}

// ---- Optimiser steps. Every loop is element-wise; the compiler vectorises it.

/// f(i, gradient of parameter i, clipped and with L2 decay where it applies)
template <class T, class F>
SKRNN_INLINE void for_each_parameter(const SolverArgs<T>& args, const T* params, T l2, F f) {
    const T scale = static_cast<T>(args.scale);
    const T* const grads = args.grads;
    for (index_t i = 0; i < args.decay_size; ++i) f(i, grads[i] * scale + l2 * params[i]);
    for (index_t i = args.decay_size; i < args.size; ++i) f(i, grads[i] * scale);
}

/// Sutskever et al. 2013, in the form without dampening: v = momentum * v + g; Nesterov looks one step ahead.
template <class T>
void sgd(const SolverArgs<T>& args) {
    T* __restrict const params = args.params;
    T* __restrict const velocity = args.slot[0];
    const T rate = static_cast<T>(args.learning_rate), momentum = static_cast<T>(args.momentum);
    const bool nesterov = args.nesterov;
    for_each_parameter<T>(args, params, static_cast<T>(args.decay), [&](index_t i, T gradient) {
        velocity[i] = momentum * velocity[i] + gradient;
        const T step = nesterov ? gradient + momentum * velocity[i] : velocity[i];
        params[i] -= rate * step;
    });
}

template <class T>
SKRNN_INLINE void adam_update(const SolverArgs<T>& args, T l2) {
    T* __restrict const params = args.params;
    T* __restrict const first = args.slot[0];
    T* __restrict const second = args.slot[1];
    const T beta_1 = static_cast<T>(args.beta_1), beta_2 = static_cast<T>(args.beta_2);
    const T rest_1 = static_cast<T>(1 - args.beta_1), rest_2 = static_cast<T>(1 - args.beta_2);
    const T rate = static_cast<T>(args.learning_rate / args.correction_1);
    const T root = static_cast<T>(1 / __builtin_sqrt(args.correction_2));
    const T epsilon = static_cast<T>(args.epsilon);
    for_each_parameter<T>(args, params, l2, [&](index_t i, T gradient) {
        first[i] = beta_1 * first[i] + rest_1 * gradient;
        second[i] = beta_2 * second[i] + rest_2 * gradient * gradient;
        const T denominator = (sizeof(T) == 4 ? static_cast<T>(__builtin_sqrtf(static_cast<float>(second[i])))
                                              : static_cast<T>(__builtin_sqrt(static_cast<double>(second[i])))) *
                                  root +
                              epsilon;
        params[i] -= rate * (first[i] / denominator);
    });
}

/// Kingma & Ba 2015.
template <class T>
void adam(const SolverArgs<T>& args) {
    adam_update<T>(args, static_cast<T>(args.decay));
}

/// Loshchilov & Hutter 2019: the decay does not pass through the moments.
template <class T>
void adamw(const SolverArgs<T>& args) {
    const T keep = static_cast<T>(1 - args.learning_rate * args.decay);
    T* const params = args.params;
    for (index_t i = 0; i < args.decay_size; ++i) params[i] *= keep;
    adam_update<T>(args, T(0));
}

/// Tieleman & Hinton 2012, with momentum on the scaled gradient.
template <class T>
void rmsprop(const SolverArgs<T>& args) {
    T* __restrict const params = args.params;
    T* __restrict const mean_square = args.slot[0];
    T* __restrict const velocity = args.slot[1];
    const T rho = static_cast<T>(args.beta_2), rest = static_cast<T>(1 - args.beta_2);
    const T rate = static_cast<T>(args.learning_rate), momentum = static_cast<T>(args.momentum);
    const T epsilon = static_cast<T>(args.epsilon);
    for_each_parameter<T>(args, params, static_cast<T>(args.decay), [&](index_t i, T gradient) {
        mean_square[i] = rho * mean_square[i] + rest * gradient * gradient;
        const T root = sizeof(T) == 4 ? static_cast<T>(__builtin_sqrtf(static_cast<float>(mean_square[i])))
                                      : static_cast<T>(__builtin_sqrt(static_cast<double>(mean_square[i])));
        velocity[i] = momentum * velocity[i] + gradient / (root + epsilon);
        params[i] -= rate * velocity[i];
    });
}

}  // namespace
}  // namespace skrnn
