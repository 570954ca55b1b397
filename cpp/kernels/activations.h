// What `gate` and `phi` of a cell are: policies, so that tests can put in linear functions and check the movement of
// data exactly. Derivatives take the function's own output.
#pragma once

#include "math.h"

namespace skrnn {
namespace {

struct SigmoidGates {
    template <class T>
    SKRNN_INLINE vec<T> gate(vec<T> x) {
        return sigmoid<T>(x);
    }
    template <class T>
    SKRNN_INLINE vec<T> d_gate(vec<T> y) {
        return y * (broadcast(T(1)) - y);
    }
};

struct TanhActivation : SigmoidGates {
    template <class T>
    SKRNN_INLINE vec<T> phi(vec<T> x) {
        return tanh<T>(x);
    }
    template <class T>
    SKRNN_INLINE vec<T> d_phi(vec<T> y) {
        return fma(-y, y, broadcast(T(1)));
    }
};

struct ReluActivation : SigmoidGates {
    template <class T>
    SKRNN_INLINE vec<T> phi(vec<T> x) {
        return at_least(vec<T>{}, x);
    }
    template <class T>
    SKRNN_INLINE vec<T> d_phi(vec<T> y) {
        return y > vec<T>{} ? broadcast(T(1)) : vec<T>{};
    }
};

struct LinearActivation {
    template <class T>
    SKRNN_INLINE vec<T> gate(vec<T> x) {
        return x;
    }
    template <class T>
    SKRNN_INLINE vec<T> d_gate(vec<T>) {
        return broadcast(T(1));
    }
    template <class T>
    SKRNN_INLINE vec<T> phi(vec<T> x) {
        return x;
    }
    template <class T>
    SKRNN_INLINE vec<T> d_phi(vec<T>) {
        return broadcast(T(1));
    }
};

}  // namespace
}  // namespace skrnn
