// What the regularised time loop works in, and what one recorded call draws at random.
#pragma once

#include <memory>

#include "buffer.h"
#include "plan.h"

namespace skrnn {

/// The random part of a recorded call. Everything drawn is a function of the key, the row's place in the batch, the
/// hidden unit and, for zoneout, the step.
struct Draws {
    double recurrent_dropout = 0;
    std::uint64_t key = 0;
    std::uint32_t first_step = 0;  // of zoneout's steps: a piece of a sequence goes on where the one before ended
};

/// What layers are regularised by at all times.
template <class T>
struct Regularizers {
    const T* norm = nullptr;  // as Regularization; null: no layer normalisation
    double zoneout = 0;
};

/// Gains and biases (G*H) as Regularization wants them.
template <class T>
Buffer<T> pack_norm(const CellData& data, index_t hidden_size, index_t padded_size, const T* gain_ih, const T* gain_hh,
                    const T* bias_ih, const T* bias_hh);

/// Memory of one call or tape in which something is on.
template <class T>
class RegularizedMemory {
public:
    /// draws: null for inference, where nothing is drawn.
    RegularizedMemory(const KernelTable& table, const CellData& data, const Plan& plan, index_t hidden_size,
                      index_t padded_size, const Regularizers<T>& regularizers, const Draws* draws,
                      const std::shared_ptr<Workspace>& workspace);
    ~RegularizedMemory();

    const Regularization<T>& args() const { return args_; }
    /// Makes room for gradients, and clears it.
    const Regularization<T>& prepare_backward(const std::shared_ptr<Workspace>& workspace);
    /// Those of `norm`, summed over rows: each array is (G*H).
    void sum_norm_gradients(index_t hidden_size, T* d_gain_ih, T* d_gain_hh, T* d_bias_ih, T* d_bias_hh) const;

    std::size_t bytes() const {
        return parts_[0].bytes() + parts_[1].bytes() + scales_.bytes() + mask_.bytes() + masked_.bytes() +
               unzoned_.bytes() + row_keys_.bytes();
    }

private:
    const CellData& data_;
    index_t rows_, padded_size_;
    Regularization<T> args_{};
    Buffer<T> parts_[2], scales_, mask_, masked_, unzoned_, d_norm_;
    Buffer<std::uint64_t> row_keys_;
};

}  // namespace skrnn
