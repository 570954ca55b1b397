// Random words that are a function of a key and a counter: Threefry-2x32 (Salmon, Moraes, Dror and Shaw, "Parallel
// random numbers: as easy as 1, 2, 3", 2011). It adds, rotates and XORs words of 32 bits, nothing else, so that every
// instruction set computes it in vectors, and the same words. 13 rounds are the fewest that passed all their tests.
#pragma once

#include "simd.h"

namespace skrnn {
namespace {

/// A word of 32 bits in each lane of a register of T. Where lanes are wider, their upper half is zero.
template <class T>
struct WordLanes;
template <>
struct WordLanes<float> {
    using lane = std::uint32_t;
    using signed_lane = std::int32_t;
    typedef lane type __attribute__((vector_size(SKRNN_VECTOR_BYTES)));
};
template <>
struct WordLanes<double> {
    using lane = std::uint64_t;
    using signed_lane = std::int64_t;
    typedef lane type __attribute__((vector_size(SKRNN_VECTOR_BYTES)));
};

template <class T>
using words = typename WordLanes<T>::type;

template <class T>
struct WordPair {
    words<T> first, second;
};

constexpr int threefry_rounds = 13;

template <class T>
SKRNN_INLINE words<T> low_half(words<T> x) {
    if constexpr (sizeof(T) == 4) return x;
    return x & typename WordLanes<T>::lane(0xffffffff);
}

/// begin, begin + 1, ...
template <class T>
SKRNN_INLINE words<T> counting_from(index_t begin) {
    using lane = typename WordLanes<T>::lane;
    alignas(64) static constexpr lane numbers[] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    words<T> x;
    std::memcpy(&x, numbers, sizeof x);
    return low_half<T>(x + static_cast<lane>(begin));
}

/// The two words at the counter (x0, x1).
template <class T>
SKRNN_INLINE WordPair<T> threefry(std::uint64_t key, words<T> x0, words<T> x1) {
    using lane = typename WordLanes<T>::lane;
    constexpr int rotations[8] = {13, 15, 26, 6, 17, 29, 16, 24};
    const lane k0 = static_cast<std::uint32_t>(key), k1 = static_cast<std::uint32_t>(key >> 32);
    const lane keys[3] = {k0, k1, k0 ^ k1 ^ lane(0x1bd11bda)};
    x0 = low_half<T>(x0 + keys[0]);
    x1 = low_half<T>(x1 + keys[1]);
#pragma GCC unroll 16
    for (int round = 0; round < threefry_rounds; ++round) {
        const int left = rotations[round % 8];
        x0 = low_half<T>(x0 + x1);
        x1 = low_half<T>((x1 << left) | (x1 >> (32 - left))) ^ x0;
        if (round % 4 == 3) {
            const int s = round / 4 + 1;
            x0 = low_half<T>(x0 + keys[s % 3]);
            x1 = low_half<T>(x1 + (keys[(s + 1) % 3] + static_cast<lane>(s)));
        }
    }
    return {x0, x1};
}

/// The words at the counters (0, counter), (1, counter), ... (n - 1, counter).
void random_words(std::uint64_t key, std::uint32_t counter, index_t n, std::uint32_t* first, std::uint32_t* second) {
    constexpr index_t W = width<float>;
    for (index_t i = 0; i < n; i += W) {
        const WordPair<float> pair = threefry<float>(key, counting_from<float>(i), words<float>{} + counter);
        const auto bytes = static_cast<std::size_t>(n - i < W ? n - i : W) * sizeof(std::uint32_t);
        std::memcpy(first + i, &pair.first, bytes);
        std::memcpy(second + i, &pair.second, bytes);
    }
}

}  // namespace
}  // namespace skrnn
