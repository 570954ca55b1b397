// Packing of weight matrices into panels: see docs/adr/0003.
#pragma once

#include <algorithm>

#include "kernel_table.h"

namespace skrnn {

/// n rounded up to whole vectors.
inline index_t round_up(index_t n, index_t vector_width) {
    return (n + vector_width - 1) / vector_width * vector_width;
}

/// panel[k * line + lane] = rows[lane * depth + k] for `lanes` rows, in blocks of k that stay in the first-level cache.
template <class T>
void pack_transposed(T* panel, index_t line, index_t lanes, index_t depth, const T* rows) {
    constexpr index_t block = 16;
    for (index_t k0 = 0; k0 < depth; k0 += block) {
        const index_t k1 = std::min(k0 + block, depth);
        for (index_t lane = 0; lane < lanes; ++lane)
            for (index_t k = k0; k < k1; ++k) panel[k * line + lane] = rows[lane * depth + k];
    }
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

}  // namespace skrnn
