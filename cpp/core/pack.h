// How weight matrices lie in panels, and what room their gradients need: see docs/adr/0003 and 0006.
#pragma once

#include <algorithm>

#include "buffer.h"
#include "kernel_table.h"
#include "parallel.h"

namespace skrnn {

/// n rounded up to whole vectors.
inline index_t round_up(index_t n, index_t vector_width) {
    return (n + vector_width - 1) / vector_width * vector_width;
}

/// Columns [column, column + line) of `depth` rows, zeros where a row has no more; returns where the panel ends.
template <class T>
T* pack_columns(T* panel, index_t line, index_t depth, const T* rows, index_t row_size, index_t column) {
    const index_t real = std::min(line, row_size - column);
    for (index_t k = 0; k < depth; ++k, panel += line) {
        std::copy_n(rows + k * row_size + column, real, panel);
        std::fill(panel + real, panel + line, T(0));
    }
    return panel;
}

/// Deals panels, which every thread counts in the same order, to the threads of a team.
class Turns {
public:
    explicit Turns(Team team) : team_(team) {}
    bool mine() { return next_++ % team_.size == team_.thread; }

private:
    Team team_;
    index_t next_ = 0;
};

/// Elements of OuterArgs::sums, for registers of `width` elements.
template <class T>
std::size_t outer_sums(const OuterArgs<T>& args, index_t width) {
    const index_t features = args.features[0] + 1 + args.features[1];
    return static_cast<std::size_t>(args.n_blocks * features * round_up(args.columns, width));
}

/// Elements of the scratch of one thread: a panel of columns and all features over one block of steps.
template <class T>
std::size_t outer_scratch(const OuterArgs<T>& args, index_t width) {
    constexpr index_t cache_line = alignment / static_cast<index_t>(sizeof(T));
    const index_t features = round_up(args.features[0] + 1 + args.features[1], cache_line) + cache_line;
    return static_cast<std::size_t>(outer_block * (tile_vectors * width + features));
}

}  // namespace skrnn
