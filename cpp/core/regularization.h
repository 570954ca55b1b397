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
};

/// What layers are regularised by at all times.
template <class T>
struct Regularizers {
    const T* norm = nullptr;  // as Regularization; null: no layer normalisation
    double zoneout = 0;
};

/// Memory of one call, or tape: nothing where no technique is on.
template <class T>
class RegularizedMemory {
public:
    RegularizedMemory() = default;
    /// draws: null for inference, where nothing is drawn.
    RegularizedMemory(const KernelTable& table, const CellData& data, const Plan& plan, index_t hidden_size,
                      index_t padded_size, const Regularizers<T>& regularizers, const Draws* draws,
                      const std::shared_ptr<Workspace>& workspace);

    bool on() const { return on_; }
    bool normalizes() const { return args_.norm != nullptr; }
    const Regularization<T>& args() const { return args_; }
    std::size_t bytes() const {
        return parts_[0].bytes() + parts_[1].bytes() + scales_.bytes() + masked_.bytes() + unzoned_.bytes() +
               mask_.bytes() + row_keys_.bytes();
    }

private:
    bool on_ = false;
    Regularization<T> args_{};
    Buffer<T> parts_[2], scales_, mask_, masked_, unzoned_;
    Buffer<std::uint64_t> row_keys_;
};

}  // namespace skrnn
