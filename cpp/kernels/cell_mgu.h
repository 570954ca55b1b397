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
        /*stages*/ 2,
        {{{0, 1}, {0, 1}, {0, 1}}, {{1, 2}, {1, 2}, {1, 2}}},
        {0, 1, -1},
        {0, 1, -1},
    };

    template <class A, int stage, class T>
    SKRNN_INLINE void forward(vec<T>* s, const vec<T>* prev, vec<T>* next) {
        if constexpr (stage == 0) {
            s[f] = A::template gate<T>(s[f]);  // [MGU.F1]
            next[0] = s[f] * prev[0];          // [MGU.F2]
        } else {
            s[n] = A::template phi<T>(s[n]);               // [MGU.F3]
            next[0] = fma(s[f], s[n] - prev[0], prev[0]);  // [MGU.F4]
        }
    }

    template <class A, int stage, class T>
    SKRNN_INLINE void backward(vec<T>* s, const vec<T>* prev, const vec<T>*, const vec<T>* d, vec<T>* d_prev) {
        if constexpr (stage == 1) {
            s[d_f] = d[0] * (s[n] - prev[0]);  // [MGU.B1]
            d_prev[0] = d[0] - d[0] * s[f];    // [MGU.B2]
            s[n] = d[0] * s[f] * A::template d_phi<T>(s[n]);
        } else {
            // d[0] is the gradient of the operand f * h(t-1)
            d_prev[0] = d[0] * s[f];  // [MGU.B3]
            s[f] = fma(d[0], prev[0], s[d_f]) * A::template d_gate<T>(s[f]);
        }
    }
};

}  // namespace
}  // namespace skrnn
