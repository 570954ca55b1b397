// What the rows of one call do in time. This is where batch order, lengths and direction end: below it there are only
// packed steps.
#pragma once

#include <algorithm>
#include <vector>

#include "kernel_table.h"

namespace skrnn {

/// Rows sorted by length, longest first (stable), so that the rows still running at a step are a prefix.
class Plan {
public:
    /// lengths: null for `steps` everywhere. segment_steps: 0 where nothing is kept; else the states before and the
    /// slots of so many steps are kept apart from one another, and those of the next segment overwrite them. The states
    /// before each segment, and after the last one, are kept for good.
    Plan(index_t rows, index_t steps, const std::int64_t* lengths, bool reverse, index_t segment_steps);

    /// The longest length is cut into segments: at least one, and one where nothing is kept.
    index_t n_segments() const { return std::max<index_t>((longest_ + segment_steps_ - 1) / segment_steps_, 1); }
    index_t segment_begin(index_t segment) const { return std::min(segment * segment_steps_, longest_); }
    /// Steps [begin, end) of one segment.
    Steps steps(index_t begin, index_t end) const;
    /// Packed steps before step t.
    index_t packed_before(index_t t) const { return first()[t]; }
    index_t rows() const { return rows_; }
    index_t longest() const { return longest_; }
    index_t packed_steps() const { return first()[longest_]; }
    index_t state_rows() const { return recording_ ? rows_ * (n_segments() + 1) + most_packed_ : 2 * rows_; }
    index_t gate_rows() const { return recording_ ? most_packed_ : rows_; }

    /// Position in the batch of row i, and its length.
    index_t batch_row(index_t i) const { return order_.empty() ? i : order_[static_cast<std::size_t>(i)]; }
    index_t length(index_t i) const { return lengths_.empty() ? longest_ : lengths_[static_cast<std::size_t>(i)]; }
    /// Where the states of row i are after its last step, until another segment overwrites them.
    index_t final_state_at(index_t i) const { return state_at()[length(i)] + i; }
    /// Whether row i ends in that segment; rows of no steps end in the first.
    bool ends_in(index_t i, index_t segment) const {
        const index_t n = length(i);
        return n == 0 ? segment == 0 : segment_begin(segment) < n && n <= segment_begin(segment + 1);
    }

    /// First row of thread `thread` of `size`: contiguous shares of nearly equal numbers of steps.
    index_t share(int thread, int size) const;

    /// table[packed step] = data + (position of the row) * row_stride + (time read at that step) * time_stride
    template <class T>
    void point(T* data, index_t row_stride, index_t time_stride, T** table) const {
        const index_t* const running = active();
        for (index_t t = 0; t < longest_; ++t)
            for (index_t i = 0; i < running[t]; ++i) {
                const index_t time = reverse_ ? length(i) - 1 - t : t;
                *table++ = data + batch_row(i) * row_stride + time * time_stride;
            }
    }

private:
    index_t* active() { return table_.data(); }
    const index_t* active() const { return table_.data(); }
    const index_t* first() const { return table_.data() + (longest_ + 1); }
    const index_t* state_at() const { return table_.data() + 2 * (longest_ + 1); }
    const index_t* gate_at() const { return table_.data() + 3 * (longest_ + 1); }

    index_t rows_, longest_;
    bool reverse_, recording_;
    index_t segment_steps_, most_packed_ = 0;  // most packed steps of a segment
    std::vector<index_t> order_, lengths_;     // empty: as they come, all `longest_` long
    std::vector<index_t> table_;               // active, first, state_at, gate_at
};

}  // namespace skrnn
