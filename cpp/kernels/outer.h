// Gradients of weights: a product whose sums run over all packed steps.
#pragma once

#include "gemm.h"

namespace skrnn {
namespace {

/// Tasks [task_begin, task_end) of OuterArgs: a task is one tile of features of one panel of columns, panels outermost.
/// scratch: room for all feature tiles of A and one panel of B over gradient_block steps.
template <class T>
void outer(const OuterArgs<T>& args, index_t task_begin, index_t task_end, T* scratch) {
    if (task_begin >= task_end) return;
    constexpr index_t W = width<T>;
    const index_t features = args.features + 1;  // the last one is constant 1 and collects the bias gradient
    const index_t feature_tiles = (features + row_tile - 1) / row_tile;
    const index_t block_panels = (args.columns + tile_width<T> - 1) / tile_width<T>;
    const index_t first_panel = task_begin / feature_tiles, last_panel = (task_end - 1) / feature_tiles;
    const bool one_panel = first_panel == last_panel;
    const index_t first_tile = one_panel ? task_begin % feature_tiles : 0;
    const index_t last_tile = one_panel ? (task_end - 1) % feature_tiles : feature_tiles - 1;

    T* const packed_a = scratch;
    T* const packed_b = scratch + feature_tiles * gradient_block * row_tile;
    alignas(64) static constexpr T zeros[tile_width<T>] = {};

    // Tiles of this task list within a panel.
    const auto tile_range = [&](index_t panel, index_t& begin, index_t& end) {
        begin = panel == first_panel ? task_begin - panel * feature_tiles : 0;
        end = panel == last_panel ? task_end - panel * feature_tiles : feature_tiles;
    };
    const auto panel_columns = [&](index_t panel) {
        const index_t left = args.columns - panel % block_panels * tile_width<T>;
        return left < tile_width<T> ? left : tile_width<T>;
    };
    const auto tile_sums = [&](index_t panel, index_t tile) {
        return args.sums + (panel * feature_tiles + tile) * row_tile * tile_width<T>;
    };

    for (index_t start = 0; start < args.steps; start += gradient_block) {
        const index_t depth = args.steps - start < gradient_block ? args.steps - start : gradient_block;

        for (index_t tile = first_tile; tile <= last_tile; ++tile) {
            const index_t feature = tile * row_tile;
            const index_t left = args.features - feature;  // without the constant
            T* a = packed_a + tile * gradient_block * row_tile;
            if (left >= row_tile) {
                for (index_t s = 0; s < depth; ++s, a += row_tile) {
                    const T* const x = args.a_rows[start + s] + feature;
                    for (index_t r = 0; r < row_tile; ++r) a[r] = x[r];
                }
            } else {
                for (index_t s = 0; s < depth; ++s, a += row_tile) {
                    const T* const x = args.a_rows[start + s] + feature;
                    for (index_t r = 0; r < left; ++r) a[r] = x[r];
                    a[left] = T(1);
                }
            }
        }

        for (index_t panel = first_panel; panel <= last_panel; ++panel) {
            const index_t columns = panel_columns(panel);
            const index_t vectors = (columns + W - 1) / W;
            const T* b = args.b + start * args.b_stride + args.b_offsets[panel / block_panels] +
                         panel % block_panels * tile_width<T>;
            for (index_t s = 0; s < depth; ++s, b += args.b_stride)
                for (index_t v = 0; v < vectors; ++v)
                    store<T>(packed_b + (s * vectors + v) * W, load_up_to<T>(b + v * W, columns - v * W));

            index_t tile_begin, tile_end;
            tile_range(panel, tile_begin, tile_end);
            for (index_t tile = tile_begin; tile < tile_end; ++tile) {
                const index_t left = features - tile * row_tile;
                const index_t rows = left < row_tile ? left : row_tile;
                const T* a_rows[row_tile];
                for (index_t r = 0; r < rows; ++r) a_rows[r] = packed_a + tile * gradient_block * row_tile + r;
                const Operand<T> operand{a_rows, 0, row_tile, depth, packed_b};
                T* const sums = tile_sums(panel, tile);
                const bool fresh = start == 0;
                run_tile<T>(rows, vectors,
                            {&operand, 1, fresh ? zeros : sums, fresh ? 0 : tile_width<T>, sums, tile_width<T>});
            }
        }
    }

    for (index_t panel = first_panel; panel <= last_panel; ++panel) {
        const index_t block = panel / block_panels;
        const index_t column = panel % block_panels * tile_width<T>;
        const index_t columns = panel_columns(panel);
        index_t tile_begin, tile_end;
        tile_range(panel, tile_begin, tile_end);
        for (index_t tile = tile_begin; tile < tile_end; ++tile) {
            const T* const sums = tile_sums(panel, tile);
            const index_t feature = tile * row_tile;
            const index_t left = args.features - feature;
            const index_t rows = left < row_tile ? left : row_tile;
            for (index_t c = 0; c < columns; ++c) {
                T* const out = args.out[block] + (column + c) * args.features + feature;
                for (index_t r = 0; r < rows; ++r) out[r] = args.steps > 0 ? sums[r * tile_width<T> + c] : T(0);
            }
            if (left < row_tile && args.bias_out[block] != nullptr)
                for (index_t c = 0; c < columns; ++c)
                    args.bias_out[block][column + c] = args.steps > 0 ? sums[left * tile_width<T> + c] : T(0);
        }
    }
}

}  // namespace
}  // namespace skrnn
