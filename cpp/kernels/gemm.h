// The one matrix product of this library: register tiles over packed panels.
//
// Every product here (gates of a step, gradients through time, inputs, weights, dense layers) is a sum over k of a
// broadcast element of A times a row of a packed panel of B. A tile of R rows by NV vectors keeps all its sums in
// registers over the whole of k. So each output element is one chain of multiply-adds in the order of k: its bits
// depend neither on R nor on what else is in the tile.
#pragma once

#include "simd.h"

namespace skrnn {
namespace {

/// Sums that fit the register file beside one row of B: 6 x 4 of 32 registers, 3 x 4 of 16.
#if defined(__AVX512F__) || defined(__aarch64__)
constexpr int row_tile = 6;
#else
constexpr int row_tile = 3;
#endif

template <class T>
constexpr index_t tile_width = tile_vectors * width<T>;

/// A: row r is a_rows[r] + offset, its element k is at k * stride. B: depth rows of NV vectors, packed.
template <class T>
struct Operand {
    const T* const* a_rows;
    index_t offset;
    index_t stride;
    index_t depth;
    const T* panel;
};

/// out = init + sum over operands of A * B; rows of init and out are init_stride and out_stride apart.
template <class T>
struct Tile {
    const Operand<T>* operands;
    index_t n_operands;
    const T* init;
    index_t init_stride;
    T* out;
    index_t out_stride;
};

/// sum[r][v] += A * B for the vectors v in [begin, end), which are all that the operand's panel holds.
template <class T, int R, int NV, int begin, int end>
SKRNN_INLINE void accumulate(vec<T> (&sum)[R][NV], const Operand<T>& operand) {
    constexpr index_t W = width<T>;
    const T* a[R];
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r) a[r] = operand.a_rows[r] + operand.offset;
    const T* b = operand.panel;
    const index_t stride = operand.stride;
    index_t at = 0;
    index_t k = operand.depth;
    do {
        vec<T> row[end - begin];
#pragma GCC unroll 4
        for (int v = 0; v < end - begin; ++v) row[v] = load<T>(b + v * W);
#pragma GCC unroll 8
        for (int r = 0; r < R; ++r) {
            const vec<T> x = broadcast<T>(a[r][at]);
#pragma GCC unroll 4
            for (int v = begin; v < end; ++v) sum[r][v] = fma(x, row[v - begin], sum[r][v]);
        }
        at += stride;
        b += (end - begin) * W;
    } while (--k > 0);
}

template <class T, int R, int NV>
SKRNN_INLINE void load_sums(vec<T> (&sum)[R][NV], const Tile<T>& tile) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) sum[r][v] = load<T>(tile.init + r * tile.init_stride + v * width<T>);
}

template <class T, int R, int NV>
SKRNN_INLINE void store_sums(const vec<T> (&sum)[R][NV], const Tile<T>& tile) {
#pragma GCC unroll 8
    for (int r = 0; r < R; ++r)
#pragma GCC unroll 4
        for (int v = 0; v < NV; ++v) store<T>(tile.out + r * tile.out_stride + v * width<T>, sum[r][v]);
}

template <class T, int R, int NV>
void compute_tile(const Tile<T>& tile) {
    vec<T> sum[R][NV];
    load_sums<T>(sum, tile);
    const Operand<T>* next = tile.operands;
    const Operand<T>* const end = next + tile.n_operands;
    do accumulate<T, R, NV, 0, NV>(sum, *next);
    while (++next < end);
    store_sums<T>(sum, tile);
}

/// Two operands, each of which takes part in some vectors of a row alone: [0, X) and [H, NV).
template <class T, int R, int NV, int X, int H>
void compute_overlapping_tile(const Tile<T>& tile) {
    vec<T> sum[R][NV];
    load_sums<T>(sum, tile);
    accumulate<T, R, NV, 0, X>(sum, tile.operands[0]);
    accumulate<T, R, NV, H, NV>(sum, tile.operands[1]);
    store_sums<T>(sum, tile);
}

template <class T>
using TileFunction = void (*)(const Tile<T>&);

/// tiles<T>[rows - 1][vectors - 1]
template <class T>
struct Tiles {
    static constexpr TileFunction<T> table[6][tile_vectors] = {
        {compute_tile<T, 1, 1>, compute_tile<T, 1, 2>, compute_tile<T, 1, 3>, compute_tile<T, 1, 4>},
        {compute_tile<T, 2, 1>, compute_tile<T, 2, 2>, compute_tile<T, 2, 3>, compute_tile<T, 2, 4>},
        {compute_tile<T, 3, 1>, compute_tile<T, 3, 2>, compute_tile<T, 3, 3>, compute_tile<T, 3, 4>},
#if defined(__AVX512F__) || defined(__aarch64__)
        {compute_tile<T, 4, 1>, compute_tile<T, 4, 2>, compute_tile<T, 4, 3>, compute_tile<T, 4, 4>},
        {compute_tile<T, 5, 1>, compute_tile<T, 5, 2>, compute_tile<T, 5, 3>, compute_tile<T, 5, 4>},
        {compute_tile<T, 6, 1>, compute_tile<T, 6, 2>, compute_tile<T, 6, 3>, compute_tile<T, 6, 4>},
#endif
    };
};

template <class T>
SKRNN_INLINE void run_tile(index_t rows, index_t vectors, const Tile<T>& tile) {
    Tiles<T>::table[rows - 1][vectors - 1](tile);
}

template <class T, int NV, int X, int H>
SKRNN_INLINE void run_overlapping_tile(index_t rows, const Tile<T>& tile) {
    static constexpr TileFunction<T> table[] = {
        compute_overlapping_tile<T, 1, NV, X, H>, compute_overlapping_tile<T, 2, NV, X, H>,
        compute_overlapping_tile<T, 3, NV, X, H>,
#if defined(__AVX512F__) || defined(__aarch64__)
        compute_overlapping_tile<T, 4, NV, X, H>, compute_overlapping_tile<T, 5, NV, X, H>,
        compute_overlapping_tile<T, 6, NV, X, H>,
#endif
    };
    table[rows - 1](tile);
}

/// Calls f(first row, number of rows) over [begin, end) in tiles of nearly equal height.
template <class F>
SKRNN_INLINE void for_row_tiles(index_t begin, index_t end, F f) {
    const index_t rows = end - begin;
    if (rows <= 0) return;
    const index_t n = (rows + row_tile - 1) / row_tile;
    const index_t least = rows / n, longer = rows % n;
    for (index_t i = 0, row = begin; i < n; ++i) {
        const index_t height = least + (i < longer ? 1 : 0);
        f(row, height);
        row += height;
    }
}

/// Rows [row_begin, row_end) of GemmArgs.
template <class T>
void gemm(const GemmArgs<T>& args, index_t row_begin, index_t row_end) {
    constexpr index_t W = width<T>;
    alignas(64) T sums[row_tile * tile_width<T>];
    Operand<T> operands[2 * max_slots];
    const T* panel = args.panels;
    for (index_t column = 0; column < args.columns; column += tile_width<T>) {
        const index_t left = args.columns - column;
        const index_t vectors = left >= tile_width<T> ? tile_vectors : (left + W - 1) / W;
        const T* const bias = panel;
        panel += vectors * W;
        const T* const weights = panel;
        for_row_tiles(row_begin, row_end, [&](index_t row, index_t rows) {
            for (index_t o = 0; o < args.n_operands; ++o)
                operands[o] = {args.a_rows + row, args.offsets[o], 1, args.depth,
                               weights + o * args.depth * vectors * W};
            run_tile<T>(rows, vectors, {operands, args.n_operands, bias, 0, sums, vectors * W});
            for (index_t r = 0; r < rows; ++r)
                for (index_t v = 0; v < vectors; ++v) {
                    T* const out = args.out_rows[row + r] + column + v * W;
                    const index_t n = left - v * W;
                    vec<T> y = load<T>(sums + (r * vectors + v) * W);
                    if (args.add) y = load_up_to<T>(out, n) + y;
                    store_up_to<T>(out, y, n);
                }
        });
        panel += args.n_operands * args.depth * vectors * W;
    }
}

}  // namespace
}  // namespace skrnn
