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
Buffer<T> pack_norm(const CellData& data, index_t hidden_size, index_t padded_size, const T* gain_ih, const T* gain_hh,
                    const T* bias_ih, const T* bias_hh) {
    const index_t size = data.n_slots * padded_size;
    Buffer<T> norm(static_cast<std::size_t>(3 * size));
    std::fill_n(norm.data(), 3 * size, T(0));
    T *const gains_x = norm.data(), *const gains_h = gains_x + size, *const bias = gains_h + size;
    const auto pack = [&](int slot, int gate, T* gains, const T* given_gains, const T* given_bias) {
        if (gate < 0) return;
        for (index_t u = 0; u < hidden_size; ++u) {
            gains[slot * padded_size + u] = given_gains[gate * hidden_size + u];
            bias[slot * padded_size + u] += given_bias[gate * hidden_size + u];
        }
    };
    for (int q = 0; q < data.n_slots; ++q) {
        pack(q, data.x_gate[q], gains_x, gain_ih, bias_ih);
        pack(q, data.h_gate[q], gains_h, gain_hh, bias_hh);
    }
    return norm;
}

template <class T>
RegularizedMemory<T>::RegularizedMemory(const KernelTable& table, const CellData& data, const Plan& plan,
                                        index_t hidden_size, index_t padded_size, const Regularizers<T>& regularizers,
                                        const Draws* draws, const std::shared_ptr<Workspace>& workspace)
    : data_(data), rows_(plan.rows()), padded_size_(padded_size) {
    const bool drops = draws != nullptr && draws->recurrent_dropout > 0;
    const bool zones = regularizers.zoneout > 0;
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
        args_.first_step = draws->first_step;
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

template <class T>
RegularizedMemory<T>::~RegularizedMemory() = default;

template <class T>
const Regularization<T>& RegularizedMemory<T>::prepare_backward(const std::shared_ptr<Workspace>& workspace) {
    if (args_.norm != nullptr) {
        const std::size_t size = checked_product(static_cast<std::size_t>(3 * data_.n_slots * padded_size_),
                                                 static_cast<std::size_t>(rows_));
        d_norm_ = Buffer<T>(size, workspace);
        std::fill_n(d_norm_.data(), size, T(0));
        args_.d_norm = d_norm_.data();
    }
    return args_;
}

template <class T>
void RegularizedMemory<T>::sum_norm_gradients(index_t hidden_size, T* d_gain_ih, T* d_gain_hh, T* d_bias_ih,
                                              T* d_bias_hh) const {
    const auto sum = [&](int part, int slot, int gate, T* out) {
        if (gate < 0) return;
        out += gate * hidden_size;
        std::fill_n(out, hidden_size, T(0));
        for (index_t i = 0; i < rows_; ++i) {
            const T* const row = d_norm_.data() + ((i * 3 + part) * data_.n_slots + slot) * padded_size_;
            for (index_t u = 0; u < hidden_size; ++u) out[u] += row[u];
        }
    };
    for (int q = 0; q < data_.n_slots; ++q) {
        sum(0, q, data_.x_gate[q], d_gain_ih);
        sum(1, q, data_.h_gate[q], d_gain_hh);
        sum(2, q, data_.x_gate[q], d_bias_ih);
        sum(2, q, data_.h_gate[q], d_bias_hh);
    }
}

template Buffer<float> pack_norm(const CellData&, index_t, index_t, const float*, const float*, const float*,
                                 const float*);
template Buffer<double> pack_norm(const CellData&, index_t, index_t, const double*, const double*, const double*,
                                  const double*);
template class RegularizedMemory<float>;
template class RegularizedMemory<double>;

}  // namespace skrnn
