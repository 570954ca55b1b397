#include "plan.h"

#include <algorithm>
#include <numeric>

namespace skrnn {

Plan::Plan(index_t rows, index_t steps, const std::int64_t* lengths, bool reverse, bool recording)
    : rows_(rows), longest_(rows > 0 ? steps : 0), reverse_(reverse), recording_(recording) {
    const auto n = static_cast<std::size_t>(rows);
    if (lengths != nullptr && rows > 0) {
        order_.resize(n);
        std::iota(order_.begin(), order_.end(), index_t{0});
        std::stable_sort(order_.begin(), order_.end(), [&](index_t a, index_t b) { return lengths[a] > lengths[b]; });
        lengths_.resize(n);
        for (std::size_t i = 0; i < n; ++i) lengths_[i] = lengths[order_[i]];
        longest_ = lengths_[0];
    }

    const auto size = static_cast<std::size_t>(longest_ + 1);
    table_.resize(4 * size);
    index_t* const active = table_.data();
    index_t* const first = active + size;
    index_t* const state_at = first + size;
    index_t* const gate_at = state_at + size;
    index_t running = rows, before = 0;
    for (index_t t = 0; t < longest_; ++t) {
        while (running > 0 && length(running - 1) <= t) --running;
        active[t] = running;
        first[t] = before;
        gate_at[t] = recording ? before : 0;
        state_at[t] = !recording ? (t % 2) * rows : t == 0 ? 0 : rows + first[t - 1];
        before += running;
    }
    active[longest_] = 0;
    first[longest_] = before;
    gate_at[longest_] = 0;
    state_at[longest_] = !recording ? (longest_ % 2) * rows : longest_ == 0 ? 0 : rows + first[longest_ - 1];
}

Steps Plan::steps() const { return {rows_, longest_, active(), first(), state_at(), gate_at()}; }

index_t Plan::share(int thread, int size) const {
    if (thread >= size) return rows_;
    if (lengths_.empty()) return rows_ * thread / size;
    const index_t wanted = packed_steps() * thread / size;
    index_t row = 0;
    for (index_t before = 0; row < rows_ && before < wanted; ++row) before += length(row);
    return row;
}

}  // namespace skrnn
