// Gated recurrent unit (Cho et al. 2014). Derivations: docs/derivations/gru.md.
//
// Gru resets after the recurrent product, as PyTorch, cuDNN and Keras do: n = phi(W x + b + r * (U h + b')).
// GruResetBefore resets before it, as the paper does: n = phi(W x + b + U (r * h) + b').
#pragma once

#include "activations.h"

namespace skrnn {
namespace {

struct Gru {
    // Both halves of the candidate are kept apart, because r multiplies only one of them. The order lets the slots
    // with input weights (n, r, z) and those with recurrent weights (r, z, un) be contiguous.
    enum { n, r, z, un };
    static constexpr CellData data = {
        "gru",
        "r z n",
        /*gates*/ 3,
        /*states*/ 1,
        /*slots*/ 4,
        /*forget gate*/ -1,
        /*keep, write gate*/ 1,
        -1,
        /*stages*/ 1,
        {{{0, 4}, {0, 3}, {1, 4}}},
        {2, 0, 1, -1},
        {-1, 0, 1, 2},
    };

    template <class A, int stage, class V>
    SKRNN_INLINE void forward(V* s, const V* prev, V* next) {
        s[r] = A::gate(s[r]);  // [GRU.F1]
        s[z] = A::gate(s[z]);
        s[n] = A::phi(fma(s[r], s[un], s[n]));      // [GRU.F2]
        next[0] = fma(s[z], prev[0] - s[n], s[n]);  // [GRU.F3]
    }

    template <class A, int stage, class V>
    SKRNN_INLINE void backward(V* s, const V* prev, const V*, const V* d, V* d_prev) {
        const V d_z = d[0] * (prev[0] - s[n]);  // [GRU.B1]
        const V d_n = (d[0] - d[0] * s[z]) * A::d_phi(s[n]);
        const V d_r = d_n * s[un];  // [GRU.B2]
        d_prev[0] = d[0] * s[z];    // [GRU.B3]
        s[n] = d_n;                 // [GRU.B4]
        s[un] = d_n * s[r];
        s[r] = d_r * A::d_gate(s[r]);
        s[z] = d_z * A::d_gate(s[z]);
    }
};

struct GruResetBefore {
    enum { r, z, n };
    static constexpr CellData data = {
        "gru_reset_before",
        "r z n",
        /*gates*/ 3,
        /*states*/ 1,
        /*slots*/ 3,
        /*forget gate*/ -1,
        /*keep, write gate*/ 1,
        -1,
        /*stages*/ 2,
        {{{0, 2}, {0, 2}, {0, 2}}, {{2, 3}, {2, 3}, {2, 3}}},
        {0, 1, 2},
        {0, 1, 2},
    };

    template <class A, int stage, class V>
    SKRNN_INLINE void forward(V* s, const V* prev, V* next) {
        if constexpr (stage == 0) {
            s[r] = A::gate(s[r]);  // [GRU.F1]
            s[z] = A::gate(s[z]);
            next[0] = s[r] * prev[0];  // [GRU.F4]
        } else {
            s[n] = A::phi(s[n]);                        // [GRU.F5]
            next[0] = fma(s[z], prev[0] - s[n], s[n]);  // [GRU.F3]
        }
    }

    template <class A, int stage, class V>
    SKRNN_INLINE void backward(V* s, const V* prev, const V*, const V* d, V* d_prev) {
        if constexpr (stage == 1) {
            const V d_z = d[0] * (prev[0] - s[n]);  // [GRU.B1]
            const V d_n = (d[0] - d[0] * s[z]) * A::d_phi(s[n]);
            d_prev[0] = d[0] * s[z];  // [GRU.B3]
            s[n] = d_n;
            s[z] = d_z * A::d_gate(s[z]);
        } else {
            // d[0] is the gradient of the operand r * h(t-1)
            d_prev[0] = d[0] * s[r];  // [GRU.B5]
            s[r] = d[0] * prev[0] * A::d_gate(s[r]);
        }
    }
};

}  // namespace
}  // namespace skrnn
