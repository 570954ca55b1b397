// exp, sigmoid and tanh of whole vectors.
//
// All three rest on one reduction: y = n ln 2 + r with |r| <= ln 2 / 2, and a polynomial for p = e^r - 1, so that
// e^y = 2^n (1 + p) and e^y - 1 = 2^n p + (2^n - 1) without cancellation.
//
// Stated bounds, in units in the last place (ulp) against the exact value, on every instruction set:
//
//              float32   float64
//   exp          1.5       1.5
//   sigmoid      2.5       2.5
//   tanh         3.0       3.0
//
// They hold wherever the exact result is a normal number. exp is gradual below that; sigmoid goes to 0 below
// x = -88.3 (float64: -709.4), where the exact value leaves the normal numbers. tanh is odd bit for bit, exact for
// zeros, and 1 from |x| = 9.02 (19.07) on. NaN gives NaN. tests/test_math.py holds them to this.
#pragma once

#include "simd.h"

namespace skrnn {
namespace {

/// Constants of the reduction. `round` added and taken away rounds to an integer, which its low bits then hold.
/// The coefficients interpolate (e^r - 1 - r) / r^2 at Chebyshev nodes on |r| <= 0.5003 ln 2; relative error of p
/// 2^-25.3 (float32) and 2^-60.7 (float64).
template <class T>
struct Exp;

template <>
struct Exp<float> {
    static constexpr float log2_e = 1.44269504f, ln2_high = 0.693359375f, ln2_low = -2.12194440e-4f;
    static constexpr float round = 12582912.0f;  // 1.5 * 2^23
    static constexpr int mantissa_bits = 23, bias = 127;
    // 2^n is inf at the upper and 0 at the lower end of the range that one scale can express
    static constexpr float upper = 89.0f, lower = -88.0f;
    static constexpr float exp_upper = 90.0f, exp_lower = -105.0f;
    static constexpr float tanh_one = 20.0f;  // tanh rounds to 1 long before y = 2|x| gets here
    static constexpr int degree = 4;
    static constexpr float c[] = {0.5f, 0x1.5554dcp-3f, 0x1.55551ap-5f, 0x1.120ba2p-7f, 0x1.6d113cp-10f};
};

template <>
struct Exp<double> {
    static constexpr double log2_e = 1.4426950408889634, ln2_high = 6.93147180369123816490e-01,
                            ln2_low = 1.90821492927058770002e-10;
    static constexpr double round = 6755399441055744.0;  // 1.5 * 2^52
    static constexpr int mantissa_bits = 52, bias = 1023;
    static constexpr double upper = 710.0, lower = -709.0;
    static constexpr double exp_upper = 711.0, exp_lower = -750.0;
    static constexpr double tanh_one = 44.0;
    static constexpr int degree = 10;
    static constexpr double c[] = {0.5,
                                   0x1.5555555555557p-3,
                                   0x1.5555555555556p-5,
                                   0x1.11111111100cep-7,
                                   0x1.6c16c16c162ccp-10,
                                   0x1.a01a01abef415p-13,
                                   0x1.a01a01a6dcaffp-16,
                                   0x1.71de021a90822p-19,
                                   0x1.27e4db57442fbp-22,
                                   0x1.af4e196027428p-26,
                                   0x1.1f731ea5352cap-29};
};

/// What is left of y = n ln 2 + r.
template <class V>
struct Reduced {
    V p;        // e^r - 1
    V rounded;  // n, in the low bits of n + Exp<T>::round
};

template <class V>
SKRNN_INLINE Reduced<V> reduce(const V& y) {
    using E = Exp<typename V::element>;
    const V rounded = fma(y, V::all(E::log2_e), V::all(E::round));
    const V n = rounded - V::all(E::round);
    V r = fma(n, V::all(-E::ln2_high), y);
    r = fma(n, V::all(-E::ln2_low), r);
    V q = V::all(E::c[E::degree]);
#pragma GCC unroll 16
    for (int i = E::degree - 1; i >= 0; --i) q = fma(q, r, V::all(E::c[i]));
    return {fma(q, r * r, r), rounded};
}

/// 2^n for n in [-bias, bias + 1]; the ends give 0 and infinity.
template <class T, int K>
SKRNN_INLINE vecs<T, K> power_of_two(const vecs<T, K>& rounded) {
    using Bits = typename Lanes<T>::integer;
    vecs<T, K> y;
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k)
        y.of[k] = (vec<T>)(((Bits)rounded.of[k] << Exp<T>::mantissa_bits) + (Bits)broadcast(T(1)));
    return y;
}

template <class V>
SKRNN_INLINE V exp(const V& x) {
    using T = typename V::element;
    using E = Exp<T>;
    const V round = V::all(E::round);
    const Reduced<V> e = reduce(at_least(V::all(E::exp_lower), at_most(V::all(E::exp_upper), x)));
    // in two factors, so that results may be subnormal or round up to infinity
    const V n = e.rounded - round;
    const V half = fma(n, V::all(T(0.5)), round);
    const V rest = n - (half - round) + round;
    return (V::all(T(1)) + e.p) * power_of_two(half) * power_of_two(rest);
}

template <class V>
SKRNN_INLINE V sigmoid(const V& x) {
    using T = typename V::element;
    using E = Exp<T>;
    const V one = V::all(T(1));
    const Reduced<V> e = reduce(at_least(V::all(E::lower), at_most(V::all(E::upper), -x)));
    return one / fma(one + e.p, power_of_two(e.rounded), one);
}

template <class V>
SKRNN_INLINE V tanh(const V& x) {
    using T = typename V::element;
    using E = Exp<T>;
    const V a = absolute(x);
    const Reduced<V> e = reduce(at_most(V::all(E::tanh_one), a + a));
    const V scale = power_of_two(e.rounded);
    const V em1 = fma(scale, e.p, scale - V::all(T(1)));
    return with_sign_of(em1 / (em1 + V::all(T(2))), x);
}

}  // namespace
}  // namespace skrnn
