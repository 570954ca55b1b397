// Vanilla (Elman) recurrent network: h' = phi(W x + U h + b). Derivation: docs/derivations/rnn.md.
#pragma once

#include "activations.h"

namespace skrnn {
namespace {

struct Rnn {
    static constexpr CellData data = {
        "rnn",
        "h",
        /*gates*/ 1,
        /*states*/ 1,
        /*slots*/ 1,
        /*forget gate*/ -1,
        /*keep, write gate*/ -1,
        -1,
        /*stages*/ 1,
        {{{0, 1}, {0, 1}, {0, 1}}},
        {0},
        {0},
    };

    template <class A, int stage, class V>
    SKRNN_INLINE void forward(V* s, const V*, V* next) {
        s[0] = A::phi(s[0]);  // [RNN.F1]
        next[0] = s[0];
    }

    template <class A, int stage, class V>
    SKRNN_INLINE void backward(V* s, const V*, const V*, const V* d, V* d_prev) {
        s[0] = d[0] * A::d_phi(s[0]);  // [RNN.B1]
        d_prev[0] = V{};               // h(t-1) is reached through U alone
    }
};

}  // namespace
}  // namespace skrnn
