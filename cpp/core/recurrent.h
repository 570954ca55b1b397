// One recurrent layer in one direction: packed weights, the forward call, and the tape of a recorded one.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <vector>

#include "buffer.h"
#include "dispatch.h"
#include "pack.h"
#include "parallel.h"
#include "plan.h"
#include "regularization.h"

namespace skrnn {

/// (rows, time, features): features are contiguous. Without data: absent.
template <class T>
struct SequenceView {
    T* data = nullptr;
    index_t row_stride = 0, time_stride = 0;
};

/// One (rows, hidden) C-contiguous array per state of the cell; null: absent.
template <class T>
using StateArrays = std::array<T*, 2>;

template <class T>
struct RecurrentCall {
    index_t rows = 0, steps = 0;
    const std::int64_t* lengths = nullptr;  // null: `steps` everywhere
    bool reverse = false;
    SequenceView<const T> x;
    StateArrays<const T> state{};  // null: zero
    SequenceView<T> output;        // written whole
    StateArrays<T> final_state{};
    Draws draws;  // of a recorded call
};

template <class T>
struct RecurrentGradients {
    SequenceView<const T> d_output;
    StateArrays<const T> d_final_state{};
    SequenceView<T> d_x;  // written whole, or added to
    bool add_to_d_x = false;
    StateArrays<T> d_state{};
    T *d_weight_ih = nullptr, *d_weight_hh = nullptr, *d_bias_ih = nullptr, *d_bias_hh = nullptr;
    T *d_gain_ih = nullptr, *d_gain_hh = nullptr;  // with layer normalisation
};

template <class T>
class Tape;

/// Immutable: many threads may call it at once.
template <class T>
class RecurrentWeights : public std::enable_shared_from_this<RecurrentWeights<T>> {
public:
    /// weight_ih (G*H, I), weight_hh (G*H, H), bias_ih, bias_hh (G*H); `training`: pack what backward needs as well.
    /// gain_ih, gain_hh (G*H): normalise the sums; null: do not.
    RecurrentWeights(const KernelTable& table, const Cell& cell, Activation activation, index_t input_size,
                     index_t hidden_size, const T* weight_ih, const T* weight_hh, const T* bias_ih, const T* bias_hh,
                     bool training, double zoneout = 0, const T* gain_ih = nullptr, const T* gain_hh = nullptr);

    void forward(const RecurrentCall<T>& call) const;
    /// checkpoint_steps: keep the states before every so many steps alone, and let backward compute what lies between
    /// them again; 0: keep everything.
    std::unique_ptr<Tape<T>> record(const RecurrentCall<T>& call, index_t checkpoint_steps,
                                    std::shared_ptr<Workspace> workspace) const;

    const KernelTable& table() const { return table_; }
    const CellData& cell() const { return *cell_.data; }
    Activation activation() const { return activation_; }
    index_t input_size() const { return input_size_; }
    index_t hidden_size() const { return hidden_size_; }
    bool training() const { return training_; }
    bool normalizes() const { return norm_.data() != nullptr; }
    std::size_t bytes() const { return forward_.bytes() + backward_h_.bytes() + backward_x_.bytes() + norm_.bytes(); }

private:
    friend class Tape<T>;

    index_t width() const { return table_.vector_bytes / static_cast<index_t>(sizeof(T)); }
    /// Multiply-adds of the recurrent product of one row at one step.
    double step_work() const {
        return static_cast<double>(cell_.data->n_gates * hidden_size_) * static_cast<double>(hidden_size_);
    }
    /// Whether a call writes more than is likely to be in a cache: gates, in memory that tapes reuse; or outputs, in
    /// memory that is new to every call.
    bool writes_far(const Plan& plan) const {
        constexpr index_t near_gates = 8 << 20, near_outputs = 2 << 20, bytes = sizeof(T);
        return plan.gate_rows() > near_gates / (cell_.data->n_slots * padded_size() * bytes) ||
               plan.packed_steps() > near_outputs / (padded_size() * bytes);
    }
    index_t padded_size() const { return round_up(hidden_size_, width()); }
    void pack_forward(const T* weight_ih, const T* weight_hh, const T* bias_ih, const T* bias_hh, Turns turns);
    void pack_backward(const T* weight_ih, const T* weight_hh, Turns turns);
    /// The memory of a call in which something is regularised; null for the others. `draws`: null for inference.
    std::unique_ptr<RegularizedMemory<T>> regularize(const Plan& plan, const Draws* draws,
                                                     const std::shared_ptr<Workspace>& workspace) const {
        if (!normalizes() && zoneout_ == 0 && (draws == nullptr || draws->recurrent_dropout == 0)) return nullptr;
        return std::make_unique<RegularizedMemory<T>>(table_, *cell_.data, plan, hidden_size_, padded_size(),
                                                      Regularizers<T>{norm_.data(), zoneout_}, draws, workspace);
    }
    /// How a time loop is shared; a regularised one by rows alone.
    LoopShare share_steps(double work, index_t rows, bool regularized) const;
    /// Some steps of a thread's share of the time loop.
    void run_steps(const ForwardArgs<T>& args, const RegularizedMemory<T>* regularized, const Share& share) const;
    /// The time loop of `call` over the states in `states`, whose initial ones it fills in.
    void run(const RecurrentCall<T>& call, const Plan& plan, const T* const* x_rows, T* states, T* gates, T* operands,
             const RegularizedMemory<T>* regularized) const;

    const KernelTable& table_;
    const Cell& cell_;
    Activation activation_;
    index_t input_size_, hidden_size_;
    bool training_;
    Buffer<T> forward_;     // per stage and panel: bias, input weights, recurrent weights
    Buffer<T> backward_h_;  // per stage and panel of units: recurrent weights, transposed
    Buffer<T> backward_x_;  // per panel of inputs: zeros, input weights, transposed
    Buffer<T> norm_;        // as Regularization; empty without layer normalisation
    double zoneout_;
};

/// What backward needs of one recorded call. The caller keeps x alive and unchanged.
template <class T>
class Tape {
public:
    using value_type = T;

    /// True for the first caller alone: backward uses the tape up, as the stored activations become gradients.
    bool claim() { return !claimed_.exchange(true); }

    /// For who has claimed the tape.
    void backward(const RecurrentGradients<T>& gradients);

    const RecurrentWeights<T>& weights() const { return *weights_; }
    index_t rows() const { return plan_.rows(); }
    index_t steps() const { return steps_; }
    std::size_t bytes() const { return claimed_.load() ? 0 : bytes_; }

private:
    friend class RecurrentWeights<T>;
    Tape(std::shared_ptr<const RecurrentWeights<T>> weights, const RecurrentCall<T>& call, index_t segment_steps,
         std::shared_ptr<Workspace> workspace);

    std::shared_ptr<const RecurrentWeights<T>> weights_;
    std::shared_ptr<Workspace> workspace_;
    Plan plan_;
    index_t steps_;
    std::vector<std::int64_t> lengths_;  // in batch order; empty: all `steps`
    std::vector<const T*> x_rows_;
    Buffer<T> states_, gates_, operands_;
    std::unique_ptr<RegularizedMemory<T>> regularized_;  // null: nothing is
    std::size_t bytes_;
    std::atomic<bool> claimed_{false};
};

}  // namespace skrnn
