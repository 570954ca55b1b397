#include "recurrent.h"

#include <algorithm>
#include <cstring>

#include "pack.h"
#include "parallel.h"

namespace skrnn {
namespace {

int slots_in(Range range) { return range.end - range.begin; }

index_t units_per_panel(int slots) { return slots >= tile_vectors ? 1 : tile_vectors / slots; }

/// Packing one element takes about as long as so many multiply-adds.
constexpr double multiply_adds_per_packed = 16;

/// A thread's share of the time loop; nothing for threads that it has no use for.
Share share_of(const Plan& plan, LoopShare sharing, Team team, Meeting& meeting) {
    const int n = std::min(sharing.n_threads, team.size);
    if (!sharing.by_units) return {plan.share(team.thread, n), plan.share(team.thread + 1, n)};
    if (team.thread >= n) return {0, 0};
    const auto meet = [](void* m, int parts) { static_cast<Meeting*>(m)->wait(parts); };
    return {0, plan.rows(), team.thread, n, meet, &meeting};
}

/// Gates per thread in a piece of a backward pass: near what its caches hold, and not so few that threads, who meet
/// once in every piece, often wait for one that has lost its core.
constexpr index_t piece_bytes = 1 << 21;

/// Packed steps that a piece has at least: each piece reads and writes all sums of the weight gradients.
constexpr index_t least_piece = 4 * outer_block;

/// Zeros in what lies beyond each row's length.
template <class T>
void clear_padding(const SequenceView<T>& view, index_t rows, index_t steps, const std::int64_t* lengths,
                   index_t features) {
    if (view.data == nullptr || lengths == nullptr) return;
    for (index_t n = 0; n < rows; ++n)
        for (index_t t = lengths[n]; t < steps; ++t)
            std::memset(view.data + n * view.row_stride + t * view.time_stride, 0,
                        static_cast<std::size_t>(features) * sizeof(T));
}

}  // namespace

template <class T>
RecurrentWeights<T>::RecurrentWeights(const KernelTable& table, const Cell& cell, Activation activation,
                                      index_t input_size, index_t hidden_size, const T* weight_ih, const T* weight_hh,
                                      const T* bias_ih, const T* bias_hh, bool training, double zoneout,
                                      const T* gain_ih, const T* gain_hh)
    : table_(table),
      cell_(cell),
      activation_(activation),
      input_size_(input_size),
      hidden_size_(hidden_size),
      training_(training),
      zoneout_(zoneout) {
    const CellData& data = *cell.data;
    const index_t padded_i = round_up(input_size, width());
    index_t sizes[3] = {0, 0, padded_i};
    for (int j = 0; j < data.n_stages; ++j) {
        const Stage& stage = data.stages[j];
        const index_t x_slots = slots_in(stage.x), h_slots = slots_in(stage.h);
        sizes[0] += padded_size() * (slots_in(stage.slots) + input_size * x_slots + hidden_size * h_slots);
        sizes[1] += padded_size() * hidden_size * h_slots;
        sizes[2] += padded_i * hidden_size * x_slots;
    }
    forward_ = Buffer<T>(static_cast<std::size_t>(sizes[0]));
    if (training) {
        backward_h_ = Buffer<T>(static_cast<std::size_t>(sizes[1]));
        backward_x_ = Buffer<T>(static_cast<std::size_t>(sizes[2]));
    }
    const index_t size = sizes[0] + (training ? sizes[1] + sizes[2] : 0);
    parallel(threads_for(multiply_adds_per_packed * static_cast<double>(size)), [&](Team team) {
        pack_forward(weight_ih, weight_hh, bias_ih, bias_hh, Turns(team));
        if (training) pack_backward(weight_ih, weight_hh, Turns(team));
    });
    if (gain_ih != nullptr) norm_ = pack_norm(data, hidden_size, padded_size(), gain_ih, gain_hh, bias_ih, bias_hh);
}

template <class T>
void RecurrentWeights<T>::pack_forward(const T* weight_ih, const T* weight_hh, const T* bias_ih, const T* bias_hh,
                                       Turns turns) {
    const CellData& data = *cell_.data;
    const index_t W = width(), I = input_size_, H = hidden_size_, padded = padded_size();
    T* next = forward_.data();

    for (int j = 0; j < data.n_stages; ++j) {
        const Stage& stage = data.stages[j];
        const index_t full = units_per_panel(slots_in(stage.slots)) * W;
        for (index_t unit = 0; unit < padded; unit += full) {
            const index_t units = std::min(full, padded - unit);           // of the panel
            const index_t real = std::clamp<index_t>(H - unit, 0, units);  // of them not padding
            T* panel = next;
            next += units * (slots_in(stage.slots) + I * slots_in(stage.x) + H * slots_in(stage.h));
            if (!turns.mine()) continue;
            for (int q = stage.slots.begin; q < stage.slots.end; ++q)
                for (index_t u = 0; u < units; ++u) {
                    T bias = 0;
                    if (u < real && data.x_gate[q] >= 0) bias += bias_ih[data.x_gate[q] * H + unit + u];
                    if (u < real && data.h_gate[q] >= 0) bias += bias_hh[data.h_gate[q] * H + unit + u];
                    *panel++ = bias;
                }
            const auto pack = [&](Range slots, const int* gate, const T* weight, index_t depth) {
                const index_t line = slots_in(slots) * units;
                if (real < units) std::fill_n(panel, depth * line, T(0));
                for (int q = slots.begin; q < slots.end; ++q)
                    functions<T>(table_).transpose(weight + (gate[q] * H + unit) * depth, depth,
                                                   panel + (q - slots.begin) * units, line, real, depth);
                panel += depth * line;
            };
            pack(stage.x, data.x_gate, weight_ih, I);
            pack(stage.h, data.h_gate, weight_hh, H);
        }
    }
}

template <class T>
void RecurrentWeights<T>::pack_backward(const T* weight_ih, const T* weight_hh, Turns turns) {
    const CellData& data = *cell_.data;
    const index_t W = width(), I = input_size_, H = hidden_size_;
    const index_t tile = tile_vectors * W;
    const index_t padded_h = round_up(H, W), padded_i = round_up(I, W);
    const auto pack = [&](T* panel, Range slots, const int* gate, const T* weight, index_t row_size, index_t column,
                          index_t line) {
        for (int q = slots.begin; q < slots.end; ++q)
            panel = pack_columns(panel, line, H, weight + gate[q] * H * row_size, row_size, column);
    };

    T* next = backward_h_.data();
    for (int j = 0; j < data.n_stages; ++j) {
        const Range h = data.stages[j].h;
        for (index_t unit = 0; unit < padded_h; unit += tile) {
            const index_t line = std::min(tile, padded_h - unit);
            if (turns.mine()) pack(next, h, data.h_gate, weight_hh, H, unit, line);
            next += line * H * slots_in(h);
        }
    }

    next = backward_x_.data();
    for (index_t input = 0; input < padded_i; input += tile) {
        const index_t line = std::min(tile, padded_i - input);
        const bool mine = turns.mine();
        if (mine) std::fill_n(next, line, T(0));
        next += line;
        for (int j = 0; j < data.n_stages; ++j) {
            const Range x = data.stages[j].x;
            if (mine) pack(next, x, data.x_gate, weight_ih, I, input, line);
            next += line * H * slots_in(x);
        }
    }
}

template <class T>
LoopShare RecurrentWeights<T>::share_steps(double work, index_t rows, bool regularized) const {
    if (!regularized) return share_loop(work, step_work(), rows);
    return {std::min<int>(threads_for(work), static_cast<int>(std::max<index_t>(rows, 1))), false};
}

template <class T>
void RecurrentWeights<T>::run_steps(const ForwardArgs<T>& args, const RegularizedMemory<T>* regularized,
                                    const Share& share) const {
    const CellKernels<T>& kernels = cell_kernels<T>(cell_);
    if (regularized != nullptr)
        kernels.forward_regularized(args, regularized->args(), share);
    else
        kernels.forward(args, share);
}

template <class T>
void RecurrentWeights<T>::run(const RecurrentCall<T>& call, const Plan& plan, const T* const* x_rows, T* states,
                              T* gates, T* operands, const RegularizedMemory<T>* regularized) const {
    const CellData& data = *cell_.data;
    const index_t H = hidden_size_, padded = padded_size(), rows = plan.rows();
    const index_t state_stride = plan.state_rows() * padded;

    for (int k = 0; k < data.n_states; ++k)
        for (index_t i = 0; i < rows; ++i) {
            T* const row = states + k * state_stride + i * padded;
            const T* const given = call.state[static_cast<std::size_t>(k)];
            if (given == nullptr) {
                std::fill_n(row, padded, T(0));
            } else {
                std::copy_n(given + plan.batch_row(i) * H, H, row);
                std::fill(row + H, row + padded, T(0));
            }
        }

    std::vector<T*> y_rows;
    if (call.output.data != nullptr) {
        y_rows.resize(static_cast<std::size_t>(plan.packed_steps()));
        plan.point(call.output.data, call.output.row_stride, call.output.time_stride, y_rows.data());
    }

    const double work = static_cast<double>(plan.packed_steps()) * static_cast<double>(data.n_gates * H) *
                        static_cast<double>(input_size_ + H);
    const LoopShare sharing = share_steps(work, rows, regularized != nullptr);
    Buffer<T> projections;
    if (regularized == nullptr && rows <= few_rows * (sharing.by_units ? 1 : sharing.n_threads) && plan.longest() > 1)
        projections = Buffer<T>(static_cast<std::size_t>(rows * projection_steps * data.n_slots * padded));

    const ForwardArgs<T> args{
        {},       activation_,       input_size_, H,
        padded,   forward_.data(),   x_rows,      call.output.data != nullptr ? y_rows.data() : nullptr,
        states,   plan.state_rows(), gates,       writes_far(plan),
        operands, projections.data()};
    const auto hand_out_final_states = [&](index_t segment) {
        for (int k = 0; k < data.n_states; ++k) {
            T* const wanted = call.final_state[static_cast<std::size_t>(k)];
            if (wanted == nullptr) continue;
            for (index_t i = 0; i < rows; ++i)
                if (plan.ends_in(i, segment))
                    std::copy_n(states + k * state_stride + plan.final_state_at(i) * padded, H,
                                wanted + plan.batch_row(i) * H);
        }
    };

    const index_t last = plan.n_segments() - 1;
    Meeting meeting;
    parallel(sharing.n_threads, [&](Team team) {
        const Share share = share_of(plan, sharing, team, meeting);
        ForwardArgs<T> segment_args = args;
        for (index_t segment = 0; segment <= last; ++segment) {
            segment_args.steps = plan.steps(plan.segment_begin(segment), plan.segment_begin(segment + 1));
            run_steps(segment_args, regularized, share);
            if (segment == last) break;
            team.barrier();
            if (team.thread == 0) hand_out_final_states(segment);
            team.barrier();
        }
    });
    hand_out_final_states(last);
    clear_padding(call.output, rows, call.steps, call.lengths, H);
}

template <class T>
void RecurrentWeights<T>::forward(const RecurrentCall<T>& call) const {
    const CellData& data = *cell_.data;
    const auto padded = static_cast<std::size_t>(padded_size());
    const Plan plan(call.rows, call.steps, call.lengths, call.reverse, 0);
    std::vector<const T*> x_rows(static_cast<std::size_t>(plan.packed_steps()));
    plan.point(call.x.data, call.x.row_stride, call.x.time_stride, x_rows.data());

    Buffer<T> states(checked_product(checked_product(static_cast<std::size_t>(plan.state_rows()), padded),
                                     static_cast<std::size_t>(data.n_states)));
    const auto regularized = regularize(plan, nullptr, nullptr);
    const auto rows = static_cast<std::size_t>(plan.gate_rows());
    Buffer<T> gates, operands;
    if (data.n_stages > 1 || regularized)  // what follows a product reads what it left
        gates = Buffer<T>(checked_product(checked_product(rows, padded), static_cast<std::size_t>(data.n_slots)));
    if (data.n_stages > 1) operands = Buffer<T>(checked_product(rows, padded));
    run(call, plan, x_rows.data(), states.data(), gates.data(), operands.data(), regularized.get());
}

template <class T>
std::unique_ptr<Tape<T>> RecurrentWeights<T>::record(const RecurrentCall<T>& call, index_t checkpoint_steps,
                                                     std::shared_ptr<Workspace> workspace) const {
    const index_t segment_steps = std::max<index_t>(checkpoint_steps > 0 ? checkpoint_steps : call.steps, 1);
    std::unique_ptr<Tape<T>> tape(new Tape<T>(this->shared_from_this(), call, segment_steps, std::move(workspace)));
    run(call, tape->plan_, tape->x_rows_.data(), tape->states_.data(), tape->gates_.data(), tape->operands_.data(),
        tape->regularized_.get());
    return tape;
}

template <class T>
Tape<T>::Tape(std::shared_ptr<const RecurrentWeights<T>> weights, const RecurrentCall<T>& call, index_t segment_steps,
              std::shared_ptr<Workspace> workspace)
    : weights_(std::move(weights)),
      workspace_(std::move(workspace)),
      plan_(call.rows, call.steps, call.lengths, call.reverse, segment_steps),
      steps_(call.steps),
      x_rows_(static_cast<std::size_t>(plan_.packed_steps())) {
    if (call.lengths != nullptr) lengths_.assign(call.lengths, call.lengths + call.rows);
    plan_.point(call.x.data, call.x.row_stride, call.x.time_stride, x_rows_.data());
    const CellData& data = weights_->cell();
    const auto padded = static_cast<std::size_t>(weights_->padded_size());
    const auto sized = [&](index_t rows, int n) {
        return Buffer<T>(
            checked_product(checked_product(static_cast<std::size_t>(rows), padded), static_cast<std::size_t>(n)),
            workspace_);
    };
    states_ = sized(plan_.state_rows(), data.n_states);
    gates_ = sized(plan_.gate_rows(), data.n_slots);
    if (data.n_stages > 1) operands_ = sized(plan_.gate_rows(), data.n_stages - 1);
    regularized_ = weights_->regularize(plan_, &call.draws, workspace_);
    bytes_ = states_.bytes() + gates_.bytes() + operands_.bytes() + (regularized_ ? regularized_->bytes() : 0);
}

template <class T>
void Tape<T>::backward(const RecurrentGradients<T>& gradients) {
    const RecurrentWeights<T>& weights = *weights_;
    const KernelTable& table = weights.table_;
    const CellData& data = weights.cell();
    const index_t I = weights.input_size_, H = weights.hidden_size_, padded = weights.padded_size();
    const index_t rows = plan_.rows(), packed_steps = plan_.packed_steps(), slot_stride = data.n_slots * padded;
    const Steps steps = plan_.steps(0, plan_.longest());
    const auto n_packed = static_cast<std::size_t>(packed_steps);

    // ---- Gradients of the states, from the final ones to the initial ones
    Buffer<T> d_states(
        checked_product(static_cast<std::size_t>(data.n_states * rows), static_cast<std::size_t>(padded)), workspace_);
    for (int k = 0; k < data.n_states; ++k)
        for (index_t i = 0; i < rows; ++i) {
            T* const row = d_states.data() + (k * rows + i) * padded;
            const T* const given = gradients.d_final_state[static_cast<std::size_t>(k)];
            std::fill_n(row, padded, T(0));
            if (given != nullptr) std::copy_n(given + plan_.batch_row(i) * H, H, row);
        }
    std::vector<const T*> dy_rows;
    if (gradients.d_output.data != nullptr) {
        dy_rows.resize(n_packed);
        plan_.point(gradients.d_output.data, gradients.d_output.row_stride, gradients.d_output.time_stride,
                    dy_rows.data());
    }
    const BackwardArgs<T> time_loop{{},
                                    weights.activation_,
                                    H,
                                    padded,
                                    weights.backward_h_.data(),
                                    gradients.d_output.data != nullptr ? dy_rows.data() : nullptr,
                                    states_.data(),
                                    plan_.state_rows(),
                                    gates_.data(),
                                    d_states.data()};

    // Where the gradients of the sums of x W and of h U are left: with those of the pre-activations, or apart.
    const bool normalizes = weights.normalizes();
    Regularization<T> regularization{};
    if (regularized_) regularization = regularized_->prepare_backward(workspace_);
    T* const x_sums = normalizes ? regularization.parts[0] : gates_.data();
    T* const h_sums = normalizes ? regularization.parts[1] : gates_.data();

    // ---- Gradient of the inputs: one product over all packed steps
    std::vector<const T*> gate_rows(n_packed);
    for (index_t t = 0; t < steps.steps; ++t)
        for (index_t i = 0; i < steps.active[t]; ++i)
            gate_rows[static_cast<std::size_t>(steps.first[t] + i)] = x_sums + (steps.gate_at[t] + i) * slot_stride;
    index_t x_offsets[max_slots], n_x = 0;
    for (int j = 0; j < data.n_stages; ++j)
        for (int q = data.stages[j].x.begin; q < data.stages[j].x.end; ++q) x_offsets[n_x++] = q * padded;
    std::vector<T*> d_x_rows;
    if (gradients.d_x.data != nullptr) {
        d_x_rows.resize(n_packed);
        plan_.point(gradients.d_x.data, gradients.d_x.row_stride, gradients.d_x.time_stride, d_x_rows.data());
        if (!gradients.add_to_d_x)
            clear_padding(gradients.d_x, rows, steps_, lengths_.empty() ? nullptr : lengths_.data(), I);
    }
    const GemmArgs<T> input_gradient{gate_rows.data(),           n_x, x_offsets,       H,
                                     weights.backward_x_.data(), I,   d_x_rows.data(), gradients.add_to_d_x};

    // ---- Gradients of the weights: one product per stage, whose features are h (or the operand), 1 and x; or, where
    // the sums of x and of h have gradients of their own, two
    struct Job {
        OuterArgs<T> args;
        OuterBlock<T> blocks[max_slots];
        std::vector<const T*> h_rows;
        Buffer<T> sums;
    };
    Job jobs[2 * max_stages];
    int n_jobs = 0;
    std::size_t scratch_size = 0;
    const T* const operands[max_stages] = {regularization.masked, operands_.data()};
    const auto add_job = [&](int j, bool with_h, bool with_x, const T* sums) {
        Job& job = jobs[n_jobs++];
        const Stage& stage = data.stages[j];
        if (with_h) {
            job.h_rows.resize(n_packed);
            for (index_t t = 0; t < steps.steps; ++t)
                for (index_t i = 0; i < steps.active[t]; ++i)
                    job.h_rows[static_cast<std::size_t>(steps.first[t] + i)] =
                        operands[j] == nullptr ? states_.data() + (steps.state_at[t] + i) * padded
                                               : operands[j] + (steps.gate_at[t] + i) * padded;
        }
        index_t n_blocks = 0;
        for (int q = stage.slots.begin; q < stage.slots.end; ++q) {
            OuterBlock<T> block{q * padded, {nullptr, nullptr}, {nullptr, nullptr}};
            if (with_h && q >= stage.h.begin && q < stage.h.end) {
                block.out[0] = gradients.d_weight_hh + data.h_gate[q] * H * H;
                if (!normalizes) block.bias_out[0] = gradients.d_bias_hh + data.h_gate[q] * H;
            }
            if (with_x && q >= stage.x.begin && q < stage.x.end) {
                block.out[1] = gradients.d_weight_ih + data.x_gate[q] * H * I;
                if (!normalizes) block.bias_out[1] = gradients.d_bias_ih + data.x_gate[q] * H;
            }
            if (block.out[0] != nullptr || block.out[1] != nullptr) job.blocks[n_blocks++] = block;
        }
        job.args = {0,
                    false,
                    false,
                    {with_h ? job.h_rows.data() : nullptr, with_x ? x_rows_.data() : nullptr},
                    {with_h ? H : 0, with_x ? I : 0},
                    sums,
                    slot_stride,
                    H,
                    n_blocks,
                    job.blocks,
                    nullptr};
        job.sums = Buffer<T>(outer_sums(job.args, weights.width()), workspace_);
        job.args.sums = job.sums.data();
        scratch_size = std::max(scratch_size, outer_scratch(job.args, weights.width()));
    };
    for (int j = 0; j < data.n_stages; ++j)
        if (normalizes) {
            add_job(j, true, false, h_sums);
            add_job(j, false, true, x_sums);
        } else {
            add_job(j, true, true, gates_.data());
        }

    const double work =
        3.0 * static_cast<double>(packed_steps) * static_cast<double>(data.n_gates * H) * static_cast<double>(I + H);
    const int n_threads = threads_for(work);
    const LoopShare sharing = weights.share_steps(work, rows, regularized_ != nullptr);
    Meeting meeting;
    Buffer<T> scratch(scratch_size * static_cast<std::size_t>(n_threads), workspace_);

    // Piece by piece, the last one first: while its gates are in the cache, their gradients go to x and the weights.
    const auto gate_bytes = static_cast<index_t>(sizeof(T)) * slot_stride * std::max<index_t>(rows, 1);
    const index_t piece = std::max<index_t>(piece_bytes * n_threads / gate_bytes,
                                            (least_piece + rows - 1) / std::max<index_t>(rows, 1) + 1);
    const ForwardArgs<T> replay{{},
                                weights.activation_,
                                I,
                                H,
                                padded,
                                weights.forward_.data(),
                                x_rows_.data(),
                                nullptr,
                                states_.data(),
                                plan_.state_rows(),
                                gates_.data(),
                                weights.writes_far(plan_),
                                operands_.data(),
                                nullptr};
    parallel(n_threads, [&](Team team) {
        const Functions<T>& f = functions<T>(table);
        const CellKernels<T>& cell = cell_kernels<T>(weights.cell_);
        const Share share = share_of(plan_, sharing, team, meeting);

        const auto backward_piece = [&](index_t begin, index_t end) {
            BackwardArgs<T> loop = time_loop;
            loop.steps = plan_.steps(begin, end);
            if (regularized_)
                cell.backward_regularized(loop, regularization, share);
            else
                cell.backward(loop, share);
            team.barrier();
            const index_t first = plan_.packed_before(begin), n = plan_.packed_before(end) - first;
            if (gradients.d_x.data != nullptr) f.gemm(input_gradient, first + team.begin(n), first + team.end(n));
            for (int j = 0; j < n_jobs; ++j) {
                OuterArgs<T> outer = jobs[j].args;
                outer.steps = n;
                outer.begins = end == plan_.longest();
                outer.ends = begin == 0;
                for (const T* const*& rows_of : outer.rows)
                    if (rows_of != nullptr) rows_of += first;
                outer.b += steps.gate_at[begin] * slot_stride;
                f.outer(outer, team.thread, team.size,
                        scratch.data() + static_cast<std::size_t>(team.thread) * scratch_size);
            }
        };

        for (index_t segment = plan_.n_segments() - 1; segment >= 0; --segment) {
            const index_t segment_begin = plan_.segment_begin(segment);
            index_t end = plan_.segment_begin(segment + 1);
            if (segment + 1 < plan_.n_segments()) {
                team.barrier();  // the gates of the segment before have been read
                ForwardArgs<T> again = replay;
                again.steps = plan_.steps(segment_begin, end);
                weights.run_steps(again, regularized_.get(), share);
                team.barrier();
            }
            do {
                const index_t begin = std::max(segment_begin, end - piece);
                backward_piece(begin, end);
                end = begin;
            } while (end > segment_begin);
        }
    });

    for (int k = 0; k < data.n_states; ++k) {
        T* const wanted = gradients.d_state[static_cast<std::size_t>(k)];
        if (wanted == nullptr) continue;
        for (index_t i = 0; i < rows; ++i)
            std::copy_n(d_states.data() + (k * rows + i) * padded, H, wanted + plan_.batch_row(i) * H);
    }
    if (normalizes)
        regularized_->sum_norm_gradients(H, gradients.d_gain_ih, gradients.d_gain_hh, gradients.d_bias_ih,
                                         gradients.d_bias_hh);
    states_ = Buffer<T>();
    gates_ = Buffer<T>();
    operands_ = Buffer<T>();
    regularized_.reset();
}

template class RecurrentWeights<float>;
template class RecurrentWeights<double>;
template class Tape<float>;
template class Tape<double>;

}  // namespace skrnn
