// What `gate` and `phi` of a cell are: policies, so that tests can put in linear functions and check the movement of
// data exactly. Derivatives take the function's own output.
#pragma once

#include "math.h"

namespace skrnn {
namespace {

template <class V>
SKRNN_INLINE V one() {
    return V::all(1);
}

struct SigmoidGates {
    template <class V>
    SKRNN_INLINE V gate(const V& x) {
        return sigmoid(x);
    }
    template <class V>
    SKRNN_INLINE V d_gate(const V& y) {
        return y * (one<V>() - y);
    }
};

struct TanhActivation : SigmoidGates {
    template <class V>
    SKRNN_INLINE V phi(const V& x) {
        return tanh(x);
    }
    template <class V>
    SKRNN_INLINE V d_phi(const V& y) {
        return fma(-y, y, one<V>());
    }
};

struct ReluActivation : SigmoidGates {
    template <class V>
    SKRNN_INLINE V phi(const V& x) {
        return at_least(V{}, x);
    }
    template <class V>
    SKRNN_INLINE V d_phi(const V& y) {
        return one_where_positive(y);
    }
};

struct LinearActivation {
    template <class V>
    SKRNN_INLINE V gate(const V& x) {
        return x;
    }
    template <class V>
    SKRNN_INLINE V d_gate(const V&) {
        return one<V>();
    }
    template <class V>
    SKRNN_INLINE V phi(const V& x) {
        return x;
    }
    template <class V>
    SKRNN_INLINE V d_phi(const V&) {
        return one<V>();
    }
};

}  // namespace
}  // namespace skrnn
