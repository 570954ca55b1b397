// Vanilla (Elman) recurrent network: h' = phi(W x + U h + b). Derivation: docs/derivations/rnn.md.
#pragma once

#include "activations.h"

namespace skrnn {
namespace {

struct Rnn {
    static constexpr CellData data = {
        "rnn",        "h",
        /*gates*/ 1,  /*states*/ 1,
        /*slots*/ 1,  /*forget gate*/ -1,
        /*stages*/ 1, {{{0, 1}, {0, 1}, {0, 1}}},
        {0},          {0},
    };

    template <class A, int stage, class T>
    SKRNN_INLINE void forward(vec<T>* s, const vec<T>*, vec<T>* next) {
        s[0] = A::template phi<T>(s[0]);  // [RNN.F1]
        next[0] = s[0];
    }

    template <class A, int stage, class T>
    SKRNN_INLINE void backward(vec<T>* s, const vec<T>*, const vec<T>*, const vec<T>* d, vec<T>* d_prev) {
        s[0] = d[0] * A::template d_phi<T>(s[0]);  // [RNN.B1]
        d_prev[0] = vec<T>{};                      // h(t-1) is reached through U alone
    }
};

}  // namespace
}  // namespace skrnn
