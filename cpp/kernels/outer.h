// Gradients of weights: products whose sums run over all packed steps.
//
// Design:
//   a. The features of a step are [first operand, 1, second operand], for a recurrent layer [h, 1, x], copied side by
//      side for a block of steps. What is multiplied by the 1 is the gradient of the bias. A block of columns that has
//      no weights for one of the operands takes part in the features without it.
//   b. The columns are copied panel by panel, as densely as the tile wants them, once for all features. They come from
//      far away in strides: while a block of steps is copied, what the next one needs is already asked for.
//   c. The chain of every element runs from the last packed step to the first, and pauses in `sums` between blocks, and
//      between calls: who has the steps piece by piece, the last piece first, gets the same bits.
//   d. A thread's share is some features of some panels, all steps of them.
#pragma once

#include "gemm.h"
#include "transpose.h"

namespace skrnn {
namespace {

/// The share of a thread in one panel of columns.
template <class T>
struct OuterPanel {
    const OuterBlock<T>* block;
    index_t column, columns;  // of the block
    index_t line;             // columns in whole vectors
    index_t begin, end;       // features
    T* sums;                  // [features of the block][line], as if the first were feature 0
};

/// Calls f(panel) for every panel in which the thread has a share; shares are nearly equal in multiply-adds.
template <class T, class F>
SKRNN_INLINE void for_panels(const OuterArgs<T>& args, int thread, int size, F f) {
    constexpr index_t W = width<T>;
    const index_t one = args.features[0], features = one + 1 + args.features[1];
    const auto first_of = [&](const OuterBlock<T>& block) { return block.out[0] == nullptr ? one : 0; };
    const auto last_of = [&](const OuterBlock<T>& block) { return block.out[1] == nullptr ? one + 1 : features; };
    const index_t padded = (args.columns + W - 1) / W * W;

    index_t work = 0;
    for (index_t b = 0; b < args.n_blocks; ++b) work += (last_of(args.blocks[b]) - first_of(args.blocks[b])) * padded;
    const index_t share_begin = work * thread / size, share_end = work * (thread + 1) / size;

    index_t before = 0;
    for (index_t b = 0; b < args.n_blocks; ++b)
        for (index_t column = 0; column < args.columns; column += tile_width<T>) {
            const OuterBlock<T>& block = args.blocks[b];
            const index_t left = args.columns - column, columns = left < tile_width<T> ? left : tile_width<T>;
            const index_t line = (columns + W - 1) / W * W;
            const index_t first = first_of(block), last = last_of(block);
            const auto up_to = [&](index_t share) {
                const index_t feature = share <= before ? first : first + (share - before) / line;
                return feature < last ? feature : last;
            };
            const OuterPanel<T> panel{
                &block, column, columns, line, up_to(share_begin), up_to(share_end), args.sums + before - first * line};
            if (panel.begin < panel.end) f(panel);
            before += (last - first) * line;
        }
}

/// The elements [begin, end) of `row` that are there at all: copied to `to`, those of `next` asked for.
template <class T>
SKRNN_INLINE void copy_features(T* to, const T* row, const T* next, index_t begin, index_t end) {
    for (index_t f = begin; f < end; f += width<T>) {
        __builtin_prefetch(next + f, 0, 2);
        store_up_to<T>(to + f, load_up_to<T>(row + f, end - f), end - f);
    }
}

/// Features [begin, end) of the `depth` steps before `stop`, the last one first, in rows of `stride`.
template <class T>
SKRNN_INLINE void pack_features(const OuterArgs<T>& args, index_t stop, index_t depth, index_t begin, index_t end,
                                T* to, index_t stride) {
    const index_t one = args.features[0], second = one + 1;
    for (index_t step = stop - 1; step >= stop - depth; --step, to += stride) {
        const index_t next = step < depth ? step : step - depth;
        if (begin < one)
            copy_features<T>(to - begin, args.rows[0][step], args.rows[0][next], begin, end < one ? end : one);
        if (begin <= one && one < end) to[one - begin] = T(1);
        if (end > second)
            copy_features<T>(to - begin + second, args.rows[1][step], args.rows[1][next],
                             begin > second ? begin - second : 0, end - second);
    }
}

/// The columns of a panel at the same steps.
template <class T>
SKRNN_INLINE void pack_columns(const OuterArgs<T>& args, const OuterPanel<T>& panel, index_t stop, index_t depth,
                               T* to) {
    constexpr index_t W = width<T>;
    const T* row = args.b + panel.block->b_offset + panel.column + stop * args.b_stride;
    const index_t to_next = stop > depth ? -depth * args.b_stride : 0;
    for (index_t s = 0; s < depth; ++s) {
        row -= args.b_stride;
        for (index_t c = 0; c < panel.line; c += W, to += W) {
            __builtin_prefetch(row + to_next + c, 0, 2);
            store<T>(to, load_up_to<T>(row + c, panel.columns - c));
        }
    }
}

/// The finished sums of a panel, transposed, to where they are wanted.
template <class T>
SKRNN_INLINE void store_gradients(const OuterArgs<T>& args, const OuterPanel<T>& panel) {
    const index_t one = args.features[0];
    const OuterBlock<T>& block = *panel.block;
    const auto store_operand = [&](int i, index_t first, index_t begin, index_t end) {
        if (begin < end)
            transpose<T>(panel.sums + begin * panel.line, panel.line,
                         block.out[i] + panel.column * args.features[i] + begin - first, args.features[i], end - begin,
                         panel.columns);
    };
    store_operand(0, 0, panel.begin, panel.end < one ? panel.end : one);
    store_operand(1, one + 1, panel.begin > one ? panel.begin : one + 1, panel.end);
    if (panel.begin <= one && one < panel.end)
        for (T* const bias : block.bias_out)
            if (bias != nullptr)
                for (index_t c = 0; c < panel.columns; ++c) bias[panel.column + c] = panel.sums[one * panel.line + c];
}

/// The share of one thread of OuterArgs. scratch: as much as core/pack.h says.
template <class T>
void outer(const OuterArgs<T>& args, int thread, int size, T* scratch) {
    index_t begin = args.features[0] + 1 + args.features[1], end = 0;  // features of the share in any panel
    for_panels(args, thread, size, [&](const OuterPanel<T>& panel) {
        begin = panel.begin < begin ? panel.begin : begin;
        end = panel.end > end ? panel.end : end;
    });
    if (begin >= end) return;

    // An odd number of cache lines apart, the rows of a tile's features are spread over the whole first-level cache.
    constexpr index_t cache_line = 64 / static_cast<index_t>(sizeof(T));
    const index_t stride = ((end - begin + cache_line - 1) / cache_line | 1) * cache_line;
    T* const columns = scratch;
    T* const features = scratch + outer_block * tile_width<T>;
    alignas(64) static constexpr T zeros[tile_width<T>] = {};

    index_t depth;  // of blocks of nearly equal size
    for (index_t stop = args.steps; stop > 0; stop -= depth) {
        depth = stop / ((stop + outer_block - 1) / outer_block);
        const bool fresh = args.begins && stop == args.steps;
        pack_features(args, stop, depth, begin, end, features, stride);
        for_panels(args, thread, size, [&](const OuterPanel<T>& panel) {
            pack_columns(args, panel, stop, depth, columns);
            for_row_tiles(panel.begin, panel.end, [&](index_t feature, index_t rows) {
                const T* a_rows[row_tile];
                for (index_t r = 0; r < rows; ++r) a_rows[r] = features + feature - begin + r;
                const Operand<T> operand{a_rows, 0, stride, depth, columns};
                T* const sums = panel.sums + feature * panel.line;
                run_tile<T>(rows, panel.line / width<T>,
                            {&operand, 1, fresh ? zeros : sums, fresh ? 0 : panel.line, sums, panel.line});
            });
            if (args.ends && stop == depth) store_gradients(args, panel);
        });
    }

    if (args.steps == 0 && args.ends)
        for_panels(args, thread, size, [&](const OuterPanel<T>& panel) {
            if (args.begins)
                for (index_t i = panel.begin * panel.line; i < panel.end * panel.line; ++i) panel.sums[i] = T(0);
            store_gradients(args, panel);
        });
}

}  // namespace
}  // namespace skrnn
