// Optimiser steps on flat vectors.
#pragma once

#include "simd.h"

namespace skrnn {
namespace {

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
    const T unbiased = static_cast<T>(1 / __builtin_sqrt(args.correction_2));
    const T epsilon = static_cast<T>(args.epsilon);
    for_each_parameter<T>(args, params, l2, [&](index_t i, T gradient) {
        first[i] = beta_1 * first[i] + rest_1 * gradient;
        second[i] = beta_2 * second[i] + rest_2 * gradient * gradient;
        params[i] -= rate * (first[i] / (root(second[i]) * unbiased + epsilon));
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

/// Dozat 2016: Adam whose first moment is looked at one step ahead, with a momentum that changes from step to step.
template <class T>
void nadam(const SolverArgs<T>& args) {
    T* __restrict const params = args.params;
    T* __restrict const first = args.slot[0];
    T* __restrict const second = args.slot[1];
    const T beta_1 = static_cast<T>(args.beta_1), beta_2 = static_cast<T>(args.beta_2);
    const T rest_1 = static_cast<T>(1 - args.beta_1), rest_2 = static_cast<T>(1 - args.beta_2);
    const T gradient_rate = static_cast<T>(args.learning_rate * (1 - args.mu) / (1 - args.mu_product));
    const T moment_rate = static_cast<T>(args.learning_rate * args.mu_next / (1 - args.mu_product * args.mu_next));
    const T unbiased = static_cast<T>(1 / __builtin_sqrt(args.correction_2));
    const T epsilon = static_cast<T>(args.epsilon);
    for_each_parameter<T>(args, params, static_cast<T>(args.decay), [&](index_t i, T gradient) {
        first[i] = beta_1 * first[i] + rest_1 * gradient;
        second[i] = beta_2 * second[i] + rest_2 * gradient * gradient;
        const T step = gradient_rate * gradient + moment_rate * first[i];
        params[i] -= step / (root(second[i]) * unbiased + epsilon);
    });
}

/// Duchi et al. 2011.
template <class T>
void adagrad(const SolverArgs<T>& args) {
    T* __restrict const params = args.params;
    T* __restrict const sum = args.slot[0];
    const T rate = static_cast<T>(args.learning_rate), epsilon = static_cast<T>(args.epsilon);
    for_each_parameter<T>(args, params, static_cast<T>(args.decay), [&](index_t i, T gradient) {
        sum[i] += gradient * gradient;
        params[i] -= rate * (gradient / (root(sum[i]) + epsilon));
    });
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
        velocity[i] = momentum * velocity[i] + gradient / (root(mean_square[i]) + epsilon);
        params[i] -= rate * velocity[i];
    });
}

}  // namespace
}  // namespace skrnn
