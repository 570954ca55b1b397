// Transposes: weights that become panels, sums that become gradients of weights.
#pragma once

#include "simd.h"

namespace skrnn {
namespace {

/// Elements in 16 bytes, within which every instruction set can interleave two registers.
template <class T>
constexpr index_t lane_size = 16 / static_cast<index_t>(sizeof(T));

/// 16 bytes from each of p[0], p[1], ... side by side, as many as fill a register.
template <class T>
SKRNN_INLINE vec<T> load_lanes(const T* const* p) {
#if defined(__AVX512F__)
    const auto lane = [&](int i) { return _mm_loadu_ps((const float*)p[i]); };
    __m512 v = _mm512_castps128_ps512(lane(0));
    v = _mm512_insertf32x4(v, lane(1), 1);
    v = _mm512_insertf32x4(v, lane(2), 2);
    return (vec<T>)_mm512_insertf32x4(v, lane(3), 3);
#elif defined(__AVX2__)
    const __m256 v = _mm256_castps128_ps256(_mm_loadu_ps((const float*)p[0]));
    return (vec<T>)_mm256_insertf128_ps(v, _mm_loadu_ps((const float*)p[1]), 1);
#else
    return load<T>(p[0]);
#endif
}

/// Within each 16 bytes: the lower (upper) elements of a and b in turn.
template <class T>
SKRNN_INLINE vec<T> zip_lower(vec<T> a, vec<T> b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_unpacklo_ps((__m512)a, (__m512)b);
    else
        return (vec<T>)_mm512_unpacklo_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_unpacklo_ps((__m256)a, (__m256)b);
    else
        return (vec<T>)_mm256_unpacklo_pd((__m256d)a, (__m256d)b);
#else
    if constexpr (sizeof(T) == 4)
        return vec<T>{a[0], b[0], a[1], b[1]};
    else
        return vec<T>{a[0], b[0]};
#endif
}
template <class T>
SKRNN_INLINE vec<T> zip_upper(vec<T> a, vec<T> b) {
#if defined(__AVX512F__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm512_unpackhi_ps((__m512)a, (__m512)b);
    else
        return (vec<T>)_mm512_unpackhi_pd((__m512d)a, (__m512d)b);
#elif defined(__AVX2__)
    if constexpr (sizeof(T) == 4)
        return (vec<T>)_mm256_unpackhi_ps((__m256)a, (__m256)b);
    else
        return (vec<T>)_mm256_unpackhi_pd((__m256d)a, (__m256d)b);
#else
    if constexpr (sizeof(T) == 4)
        return vec<T>{a[2], b[2], a[3], b[3]};
    else
        return vec<T>{a[1], b[1]};
#endif
}

/// to[c * to_stride + r] = from[r * from_stride + c] for a register's width of c, and of r up to `rows`.
template <class T>
SKRNN_INLINE void transpose_block(const T* from, index_t from_stride, T* to, index_t to_stride, index_t rows) {
    constexpr index_t W = width<T>, Q = lane_size<T>;
    const T* row[W];
    for (index_t r = 0; r < W; ++r) row[r] = from + (r < rows ? r : rows - 1) * from_stride;
    for (index_t c = 0; c < W; c += Q, to += Q * to_stride) {
        vec<T> v[Q], out[Q];
        for (index_t q = 0; q < Q; ++q) {  // row q of every lane's square
            const T* lanes[W / Q];
            for (index_t lane = 0; lane < W / Q; ++lane) lanes[lane] = row[lane * Q + q] + c;
            v[q] = load_lanes<T>(lanes);
        }
        if constexpr (Q == 4) {
            const vec<T> a = zip_lower<T>(v[0], v[2]), b = zip_upper<T>(v[0], v[2]);
            const vec<T> d = zip_lower<T>(v[1], v[3]), e = zip_upper<T>(v[1], v[3]);
            out[0] = zip_lower<T>(a, d);
            out[1] = zip_upper<T>(a, d);
            out[2] = zip_lower<T>(b, e);
            out[3] = zip_upper<T>(b, e);
        } else {
            out[0] = zip_lower<T>(v[0], v[1]);
            out[1] = zip_upper<T>(v[0], v[1]);
        }
        for (index_t q = 0; q < Q; ++q) store_up_to<T>(to + q * to_stride, out[q], rows);
    }
}

/// to[c * to_stride + r] = from[r * from_stride + c]; the two do not overlap.
template <class T>
void transpose(const T* from, index_t from_stride, T* to, index_t to_stride, index_t rows, index_t columns) {
    constexpr index_t W = width<T>;
    if (columns < W) {
        for (index_t c = 0; c < columns; ++c)
            for (index_t r = 0; r < rows; ++r) to[c * to_stride + r] = from[r * from_stride + c];
        return;
    }
    for (index_t r = 0; r < rows; r += W)
        for (index_t c = 0; c < columns; c += W) {
            const index_t begin = c < columns - W ? c : columns - W;  // the last block overlaps the one before it
            transpose_block<T>(from + r * from_stride + begin, from_stride, to + begin * to_stride + r, to_stride,
                               rows - r);
        }
}

}  // namespace
}  // namespace skrnn
