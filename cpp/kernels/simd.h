// vec<T>: one register of T, through the vector extensions of GCC and Clang. Arithmetic is the language's own; this
// header adds what operators cannot say. At vector width 16 bytes it is plain SSE2 or NEON, and the same source.
//
// Everything in cpp/kernels has internal linkage and no std templates: see docs/adr/0001.
#pragma once

#include <cstdint>
#include <cstring>

#include "../core/kernel_table.h"

#if defined(__AVX512F__) || defined(__AVX2__)
#if !defined(__clang__)  // GCC 12 takes _mm512_undefined_ps inside its own header for a mistake of ours
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#else
#include <immintrin.h>
#endif
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

#if defined(__AVX512F__)
#define SKRNN_VECTOR_BYTES 64
#elif defined(__AVX2__)
#define SKRNN_VECTOR_BYTES 32
#else
#define SKRNN_VECTOR_BYTES 16
#endif

#define SKRNN_INLINE [[gnu::always_inline]] static inline
#define SKRNN_INLINE_LAMBDA __attribute__((always_inline))

namespace skrnn {
namespace {

constexpr int vector_bytes = SKRNN_VECTOR_BYTES;

template <class T>
struct Lanes;
template <>
struct Lanes<float> {
    typedef float type __attribute__((vector_size(SKRNN_VECTOR_BYTES)));
    typedef std::int32_t integer __attribute__((vector_size(SKRNN_VECTOR_BYTES)));
};
template <>
struct Lanes<double> {
    typedef double type __attribute__((vector_size(SKRNN_VECTOR_BYTES)));
    typedef std::int64_t integer __attribute__((vector_size(SKRNN_VECTOR_BYTES)));
};

template <class T>
using vec = typename Lanes<T>::type;

template <class T>
constexpr index_t width = vector_bytes / static_cast<index_t>(sizeof(T));

template <class T>
SKRNN_INLINE vec<T> broadcast(T x) {
    return x - vec<T>{};  // x - 0 keeps the sign of zero
}

template <class T>
SKRNN_INLINE vec<T> load(const T* p) {
    vec<T> v;
    std::memcpy(&v, p, sizeof v);
    return v;
}

template <class T>
SKRNN_INLINE void store(T* p, vec<T> v) {
    std::memcpy(p, &v, sizeof v);
}

/// The square root of one element.
template <class T>
SKRNN_INLINE T root(T x) {
    if constexpr (sizeof(T) == 4)
        return __builtin_sqrtf(x);
    else
        return __builtin_sqrt(x);
}

/// The first n < width elements; the other lanes are zero and their memory is not touched.
template <class T>
SKRNN_INLINE vec<T> load_first(const T* p, index_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_maskz_loadu_ps(static_cast<__mmask16>((1u << n) - 1u), p);
    else
        return (vec<T>)_mm512_maskz_loadu_pd(static_cast<__mmask8>((1u << n) - 1u), p);
#else
    T buffer[width<T>] = {};
    for (index_t i = 0; i < n; ++i) buffer[i] = p[i];
    return load<T>(buffer);
#endif
}

template <class T>
SKRNN_INLINE void store_first(T* p, vec<T> v, index_t n) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1u), (__m512)v);
    else
        _mm512_mask_storeu_pd(p, static_cast<__mmask8>((1u << n) - 1u), (__m512d)v);
#else
    T buffer[width<T>];
    store<T>(buffer, v);
    for (index_t i = 0; i < n; ++i) p[i] = buffer[i];
#endif
}

/// n elements, n up to the width.
template <class T>
SKRNN_INLINE vec<T> load_up_to(const T* p, index_t n) {
    return n >= width<T> ? load<T>(p) : load_first<T>(p, n);
}

template <class T>
SKRNN_INLINE void store_up_to(T* p, vec<T> v, index_t n) {
    if (n >= width<T>)
        store<T>(p, v);
    else
        store_first<T>(p, v, n);
}

// a * b + c, rounded once where the processor can. Contraction is off for these objects (-ffp-contract=off), so what
// is fused is what says fma here, in every instantiation alike: that is what makes a row's bits independent of the
// tile it falls into.
SKRNN_INLINE vec<float> fma(vec<float> a, vec<float> b, vec<float> c) {
#if defined(__AVX512F__)
    return (vec<float>)_mm512_fmadd_ps((__m512)a, (__m512)b, (__m512)c);
#elif defined(__AVX2__)
    return (vec<float>)_mm256_fmadd_ps((__m256)a, (__m256)b, (__m256)c);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return (vec<float>)vfmaq_f32((float32x4_t)c, (float32x4_t)a, (float32x4_t)b);
#else
    return a * b + c;
#endif
}
SKRNN_INLINE vec<double> fma(vec<double> a, vec<double> b, vec<double> c) {
#if defined(__AVX512F__)
    return (vec<double>)_mm512_fmadd_pd((__m512d)a, (__m512d)b, (__m512d)c);
#elif defined(__AVX2__)
    return (vec<double>)_mm256_fmadd_pd((__m256d)a, (__m256d)b, (__m256d)c);
#elif defined(__ARM_NEON) && defined(__aarch64__)
    return (vec<double>)vfmaq_f64((float64x2_t)c, (float64x2_t)a, (float64x2_t)b);
#else
    return a * b + c;
#endif
}

// The larger (smaller) of a bound and x; a NaN in x comes through.
SKRNN_INLINE vec<float> at_least(vec<float> bound, vec<float> x) {
#if defined(__AVX512F__)
    return (vec<float>)_mm512_max_ps((__m512)bound, (__m512)x);
#elif defined(__AVX2__)
    return (vec<float>)_mm256_max_ps((__m256)bound, (__m256)x);
#else
    return bound > x ? bound : x;
#endif
}
SKRNN_INLINE vec<double> at_least(vec<double> bound, vec<double> x) {
#if defined(__AVX512F__)
    return (vec<double>)_mm512_max_pd((__m512d)bound, (__m512d)x);
#elif defined(__AVX2__)
    return (vec<double>)_mm256_max_pd((__m256d)bound, (__m256d)x);
#else
    return bound > x ? bound : x;
#endif
}
SKRNN_INLINE vec<float> at_most(vec<float> bound, vec<float> x) {
#if defined(__AVX512F__)
    return (vec<float>)_mm512_min_ps((__m512)bound, (__m512)x);
#elif defined(__AVX2__)
    return (vec<float>)_mm256_min_ps((__m256)bound, (__m256)x);
#else
    return bound < x ? bound : x;
#endif
}
SKRNN_INLINE vec<double> at_most(vec<double> bound, vec<double> x) {
#if defined(__AVX512F__)
    return (vec<double>)_mm512_min_pd((__m512d)bound, (__m512d)x);
#elif defined(__AVX2__)
    return (vec<double>)_mm256_min_pd((__m256d)bound, (__m256d)x);
#else
    return bound < x ? bound : x;
#endif
}

/// Registers that a chain of dependent operations, such as an activation, is computed on at a time: measured. With the
/// 16 registers of AVX2 and operations as few as with AVX-512, what spills costs more than what waits.
#if defined(__AVX2__) && !defined(__AVX512F__)
constexpr int lockstep = 1;
#else
constexpr int lockstep = 3;
#endif

/// K registers, each operation on all of them before the next one: so neighbouring instructions do not wait for one
/// another where, as in an activation, every operation waits for the one before it.
template <class T, int K>
struct vecs {
    using element = T;
    vec<T> of[K];

    SKRNN_INLINE vecs all(T x) {
        vecs y;
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) y.of[k] = broadcast(x);
        return y;
    }
};

/// Element-wise: an expression in a.of[k], b.of[k] and c.of[k].
#define SKRNN_EACH(expression)                                                          \
    {                                                                                   \
        vecs<T, K> y;                                                                   \
        _Pragma("GCC unroll 8") for (int k = 0; k < K; ++k) { y.of[k] = (expression); } \
        return y;                                                                       \
    }
#define SKRNN_UNARY(name, expression) \
    template <class T, int K>         \
    SKRNN_INLINE vecs<T, K> name(const vecs<T, K>& a) SKRNN_EACH(expression)
#define SKRNN_BINARY(name, expression) \
    template <class T, int K>          \
    SKRNN_INLINE vecs<T, K> name(const vecs<T, K>& a, const vecs<T, K>& b) SKRNN_EACH(expression)

SKRNN_BINARY(operator+, a.of[k] + b.of[k])
SKRNN_BINARY(operator-, a.of[k] - b.of[k])
SKRNN_BINARY(operator*, a.of[k] * b.of[k])
SKRNN_BINARY(operator/, a.of[k] / b.of[k])
SKRNN_BINARY(at_least, at_least(a.of[k], b.of[k]))
SKRNN_BINARY(at_most, at_most(a.of[k], b.of[k]))
SKRNN_UNARY(operator-, -a.of[k])
SKRNN_UNARY(one_where_positive, a.of[k] > vec<T>{} ? broadcast(T(1)) : vec<T>{})
SKRNN_UNARY(absolute, (vec<T>)((typename Lanes<T>::integer)a.of[k] & ~(typename Lanes<T>::integer)broadcast(T(-0.0))))
/// a, which is not negative, with the sign of b.
SKRNN_BINARY(with_sign_of,
             (vec<T>)((typename Lanes<T>::integer)a.of[k] |
                      ((typename Lanes<T>::integer)b.of[k] & (typename Lanes<T>::integer)broadcast(T(-0.0)))))

template <class T, int K>
SKRNN_INLINE vecs<T, K> fma(const vecs<T, K>& a, const vecs<T, K>& b, const vecs<T, K>& c)
    SKRNN_EACH(fma(a.of[k], b.of[k], c.of[k]))

#undef SKRNN_UNARY
#undef SKRNN_BINARY
#undef SKRNN_EACH

}  // namespace
}  // namespace skrnn
