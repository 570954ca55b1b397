#include "regularization.h"

#include <vector>

namespace skrnn {
namespace {

/// The counter of what is drawn once for all steps; the others are numbers of steps.
constexpr std::uint32_t no_step = 0xffffffff;

/// An event of that probability happens where the upper 31 bits of a word are below this.
std::int32_t threshold_of(double probability) { return static_cast<std::int32_t>(probability * 2147483648.0); }

}  // namespace

template <class T>
RegularizedMemory<T>::RegularizedMemory(const KernelTable& table, const CellData& data, const Plan& plan,
                                        index_t hidden_size, index_t padded_size, const Regularizers<T>& regularizers,
                                        const Draws* draws, const std::shared_ptr<Workspace>& workspace) {
    const bool drops = draws != nullptr && draws->recurrent_dropout > 0;
    const bool zones = regularizers.zoneout > 0;
    on_ = regularizers.norm != nullptr || drops || zones;
    if (!on_) return;

    const auto rows = static_cast<std::size_t>(plan.rows()), gate_rows = static_cast<std::size_t>(plan.gate_rows());
    const auto padded = static_cast<std::size_t>(padded_size), hidden = static_cast<std::size_t>(hidden_size);
    const auto sized = [&](std::size_t n_rows, int n) {
        return Buffer<T>(checked_product(checked_product(n_rows, padded), static_cast<std::size_t>(n)), workspace);
    };

    if (regularizers.norm != nullptr) {
        args_.norm = regularizers.norm;
        for (int i = 0; i < 2; ++i) {
            parts_[i] = sized(gate_rows, data.n_slots);
            args_.parts[i] = parts_[i].data();
        }
        scales_ = Buffer<T>(checked_product(gate_rows, static_cast<std::size_t>(2 * data.n_stages)), workspace);
        args_.inverse_scales = scales_.data();
    }
    args_.zoneout = static_cast<T>(regularizers.zoneout);
    if (draws == nullptr || !(drops || zones)) return;

    // ---- A key for each row; from it whatever concerns the row
    std::vector<std::uint32_t> first(std::max(rows, hidden)), second(first.size());
    table.random_words(draws->key, no_step, plan.rows(), first.data(), second.data());
    row_keys_ = Buffer<std::uint64_t>(rows, workspace);
    for (std::size_t i = 0; i < rows; ++i) {
        const auto n = static_cast<std::size_t>(plan.batch_row(static_cast<index_t>(i)));
        row_keys_.data()[i] = first[n] | static_cast<std::uint64_t>(second[n]) << 32;
    }
    if (zones) {
        args_.row_keys = row_keys_.data();
        args_.zoneout_threshold = threshold_of(regularizers.zoneout);
        unzoned_ = sized(gate_rows, data.n_states);
        args_.unzoned = unzoned_.data();
        args_.unzoned_rows = plan.gate_rows();
    }
    if (drops) {
        const std::int32_t dropped = threshold_of(draws->recurrent_dropout);
        const T kept = static_cast<T>(1 / (1 - draws->recurrent_dropout));
        mask_ = sized(rows, 1);
        for (std::size_t i = 0; i < rows; ++i) {
            table.random_words(row_keys_.data()[i], no_step, hidden_size, first.data(), second.data());
            T* const row = mask_.data() + i * padded;
            for (std::size_t u = 0; u < padded; ++u)
                row[u] = u < hidden && static_cast<std::int32_t>(first[u] >> 1) >= dropped ? kept : T(0);
        }
        masked_ = sized(gate_rows, 1);
        args_.mask = mask_.data();
        args_.masked = masked_.data();
    }
}

template class RegularizedMemory<float>;
template class RegularizedMemory<double>;

}  // namespace skrnn
