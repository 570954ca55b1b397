// Long short-term memory (Hochreiter & Schmidhuber 1997, with the forget gate of Gers et al. 2000).
// Derivation: docs/derivations/lstm.md.
#pragma once

#include "activations.h"

namespace skrnn {
namespace {

struct Lstm {
    enum { i, f, g, o };
    enum { h, c };
    static constexpr CellData data = {
        "lstm",
        "i f g o",
        /*gates*/ 4,
        /*states*/ 2,
        /*slots*/ 4,
        /*forget gate*/ f,
        /*keep, write gate*/ f,
        i,
        /*stages*/ 1,
        {{{0, 4}, {0, 4}, {0, 4}}},
        {i, f, g, o},
        {i, f, g, o},
    };

    template <class A, int stage, class V>
    SKRNN_INLINE void forward(V* s, const V* prev, V* next) {
        s[i] = A::gate(s[i]);  // [LSTM.F1]
        s[f] = A::gate(s[f]);
        s[g] = A::phi(s[g]);
        s[o] = A::gate(s[o]);
        next[c] = fma(s[f], prev[c], s[i] * s[g]);  // [LSTM.F2]
        next[h] = s[o] * A::phi(next[c]);           // [LSTM.F3]
    }

    template <class A, int stage, class V>
    SKRNN_INLINE void backward(V* s, const V* prev, const V* next, const V* d, V* d_prev) {
        const V phi_c = A::phi(next[c]);  // recomputed: cheaper than a fifth of the tape
        const V d_o = d[h] * phi_c;       // [LSTM.B1]
        const V d_c = fma(d[h] * s[o], A::d_phi(phi_c), d[c]);
        const V d_i = d_c * s[g];  // [LSTM.B2]
        const V d_f = d_c * prev[c];
        const V d_g = d_c * s[i];
        d_prev[h] = V{};
        d_prev[c] = d_c * s[f];        // [LSTM.B3]
        s[i] = d_i * A::d_gate(s[i]);  // [LSTM.B4]
        s[f] = d_f * A::d_gate(s[f]);
        s[g] = d_g * A::d_phi(s[g]);
        s[o] = d_o * A::d_gate(s[o]);
    }
};

}  // namespace
}  // namespace skrnn
