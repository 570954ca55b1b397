// A function of every element of an array, and the activations by themselves.
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

}  // namespace
}  // namespace skrnn
