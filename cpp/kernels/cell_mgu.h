// Minimal gated unit (Zhou et al. 2016): a GRU whose one gate both resets and updates.
// Derivation: docs/derivations/mgu.md.
#pragma once

#include "activations.h"

namespace skrnn {
namespace {

struct Mgu {
    // d_f belongs to no stage: the gate gets its gradient in two parts, and the first one waits there for the second.
    enum { f, n, d_f };
    static constexpr CellData data = {
        "mgu",
        "f n",
        /*gates*/ 2,
        /*states*/ 1,
        /*slots*/ 3,
        /*forget gate*/ -1,
        /*keep, write gate*/ -1,
        f,
        /*stages*/ 2,
        {{{0, 1}, {0, 1}, {0, 1}}, {{1, 2}, {1, 2}, {1, 2}}},
        {0, 1, -1},
        {0, 1, -1},
    };

    template <class A, int stage, class V>
    SKRNN_INLINE void forward(V* s, const V* prev, V* next) {
        if constexpr (stage == 0) {
            s[f] = A::gate(s[f]);      // [MGU.F1]
            next[0] = s[f] * prev[0];  // [MGU.F2]
        } else {
            s[n] = A::phi(s[n]);                           // [MGU.F3]
            next[0] = fma(s[f], s[n] - prev[0], prev[0]);  // [MGU.F4]
        }
    }

    template <class A, int stage, class V>
    SKRNN_INLINE void backward(V* s, const V* prev, const V*, const V* d, V* d_prev) {
        if constexpr (stage == 1) {
            s[d_f] = d[0] * (s[n] - prev[0]);  // [MGU.B1]
            d_prev[0] = d[0] - d[0] * s[f];    // [MGU.B2]
            s[n] = d[0] * s[f] * A::d_phi(s[n]);
        } else {
            // d[0] is the gradient of the operand f * h(t-1)
            d_prev[0] = d[0] * s[f];  // [MGU.B3]
            s[f] = fma(d[0], prev[0], s[d_f]) * A::d_gate(s[f]);
        }
    }
};

}  // namespace
}  // namespace skrnn
