#include "plan.h"

#include <algorithm>
#include <numeric>

namespace skrnn {

Plan::Plan(index_t rows, index_t steps, const std::int64_t* lengths, bool reverse, index_t segment_steps)
    : rows_(rows), longest_(rows > 0 ? steps : 0), reverse_(reverse), recording_(segment_steps > 0) {
    const auto n = static_cast<std::size_t>(rows);
    if (lengths != nullptr && rows > 0) {
        order_.resize(n);
        std::iota(order_.begin(), order_.end(), index_t{0});
        std::stable_sort(order_.begin(), order_.end(), [&](index_t a, index_t b) { return lengths[a] > lengths[b]; });
        lengths_.resize(n);
        for (std::size_t i = 0; i < n; ++i) lengths_[i] = lengths[order_[i]];
        longest_ = lengths_[0];
    }

    segment_steps_ = std::max<index_t>(recording_ ? std::min(segment_steps, longest_) : longest_, 1);

    const auto size = static_cast<std::size_t>(longest_ + 1);
    table_.resize(4 * size);
    index_t* const active = table_.data();
    index_t* const first = active + size;
    index_t* const state_at = first + size;
    index_t* const gate_at = state_at + size;
    index_t running = rows;
    first[0] = 0;
    for (index_t t = 0; t < longest_; ++t) {
        while (running > 0 && length(running - 1) <= t) --running;
        active[t] = running;
        first[t + 1] = first[t] + running;
    }
    active[longest_] = 0;
    const index_t kept = rows * (n_segments() + 1);
    for (index_t t = 0; t <= longest_; ++t) {
        const index_t begin = first[t / segment_steps_ * segment_steps_];
        gate_at[t] = recording_ ? first[t] - begin : 0;
        if (!recording_)
            state_at[t] = (t % 2) * rows;
        else if (t % segment_steps_ == 0)
            state_at[t] = t / segment_steps_ * rows;
        else
            state_at[t] = kept + first[t - 1] - begin;
    }
    for (index_t s = 0; s < n_segments(); ++s)
        most_packed_ = std::max(most_packed_, first[segment_begin(s + 1)] - first[segment_begin(s)]);
}

Steps Plan::steps(index_t begin, index_t end) const {
    return {rows_, end - begin, active() + begin, first() + begin, state_at() + begin, gate_at() + begin, begin};
}

index_t Plan::share(int thread, int size) const {
    if (thread >= size) return rows_;
    if (lengths_.empty()) return rows_ * thread / size;
    const index_t wanted = packed_steps() * thread / size;
    index_t row = 0;
    for (index_t before = 0; row < rows_ && before < wanted; ++row) before += length(row);
    return row;
}

}  // namespace skrnn
