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
        /*stages*/ 1,
        {{{0, 4}, {0, 4}, {0, 4}}},
        {i, f, g, o},
        {i, f, g, o},
    };

    template <class A, int stage, class T>
    SKRNN_INLINE void forward(vec<T>* s, const vec<T>* prev, vec<T>* next) {
        s[i] = A::template gate<T>(s[i]);  // [LSTM.F1]
        s[f] = A::template gate<T>(s[f]);
        s[g] = A::template phi<T>(s[g]);
        s[o] = A::template gate<T>(s[o]);
        next[c] = fma(s[f], prev[c], s[i] * s[g]);     // [LSTM.F2]
        next[h] = s[o] * A::template phi<T>(next[c]);  // [LSTM.F3]
    }

    template <class A, int stage, class T>
    SKRNN_INLINE void backward(vec<T>* s, const vec<T>* prev, const vec<T>* next, const vec<T>* d, vec<T>* d_prev) {
        const vec<T> phi_c = A::template phi<T>(next[c]);  // recomputed: cheaper than a fifth of the tape
        const vec<T> d_o = d[h] * phi_c;                   // [LSTM.B1]
        const vec<T> d_c = fma(d[h] * s[o], A::template d_phi<T>(phi_c), d[c]);
        const vec<T> d_i = d_c * s[g];  // [LSTM.B2]
        const vec<T> d_f = d_c * prev[c];
        const vec<T> d_g = d_c * s[i];
        d_prev[h] = vec<T>{};
        d_prev[c] = d_c * s[f];                    // [LSTM.B3]
        s[i] = d_i * A::template d_gate<T>(s[i]);  // [LSTM.B4]
        s[f] = d_f * A::template d_gate<T>(s[f]);
        s[g] = d_g * A::template d_phi<T>(s[g]);
        s[o] = d_o * A::template d_gate<T>(s[o]);
    }
};

}  // namespace
}  // namespace skrnn
