// The time loop with recurrent dropout, zoneout and layer normalisation, each on or off: once for all cells, beside the
// loop of sequence.h, which knows none of them.
//
// Design:
//   a. Normalising wants the sums of all hidden units of a row before any of them is used. So a step is not one pass of
//      products with epilogues, but two: the products, whose sums go to where the slots are kept, and then row by row
//      the cell's own `forward` over all units.
//   b. The products are those of sequence.h, on the same panels: the bits of a sum are the same where nothing
//      normalises.
//   c. Backward, the product with U still has the cell's `backward` as its epilogue; what is left for a second pass is
//      the way back through the normalisation.
//   d. Threads share rows. What is random is a function of a key, the row and the step (random.h), and is drawn again
//      on the way back instead of being kept.
//   e. Gradients of the gains are sums over rows and steps: each row has its own sums over its steps, and the caller
//      adds them up in the order of the rows.
// Equations: docs/derivations/regularization.md.
#pragma once

#include "random.h"
#include "sequence.h"

namespace skrnn {
namespace {

// ---- Normalisation of one part of the sums of one row: `slots` slots of `size` units, `padded` apart ----------------

/// Added to a variance (Ba, Kiros and Hinton 2016 leave it open; PyTorch's choice).
constexpr double norm_epsilon = 1e-5;

/// The lanes of units before `n`; zero in the others.
template <class T>
SKRNN_INLINE vec<T> lanes_below(vec<T> v, index_t n) {
    using Bits = typename Lanes<T>::integer;
    if (n >= width<T>) return v;
    const Bits inside = (Bits)counting_from<T>(0) < static_cast<typename WordLanes<T>::signed_lane>(n);
    return (vec<T>)((Bits)v & inside);
}

/// The sum over slots and lanes, in a fixed order.
template <class T, int slots>
SKRNN_INLINE T sum_of(const vec<T> (&sums)[slots]) {
    vec<T> total = sums[0];
    for (int q = 1; q < slots; ++q) total = total + sums[q];
    T lanes[width<T>];
    store<T>(lanes, total);
    for (index_t n = width<T> / 2; n > 0; n /= 2)
        for (index_t i = 0; i < n; ++i) lanes[i] += lanes[i + n];
    return lanes[0];
}

/// Shifts and scales the sums to mean 0 and variance 1; returns the scale.
template <int slots, class T>
SKRNN_INLINE T normalize(T* sums, index_t padded, index_t size) {
    constexpr index_t W = width<T>;
    const T n = static_cast<T>(slots * size);
    vec<T> total[slots] = {}, squares[slots] = {};
    for (index_t unit = 0; unit < padded; unit += W)
        for (int q = 0; q < slots; ++q) total[q] = total[q] + load<T>(sums + q * padded + unit);
    const vec<T> mean = broadcast(sum_of<T, slots>(total) / n);  // [NORM.F1]
    for (index_t unit = 0; unit < padded; unit += W)
        for (int q = 0; q < slots; ++q) {
            T* const at = sums + q * padded + unit;
            const vec<T> shifted = lanes_below<T>(load<T>(at) - mean, size - unit);
            squares[q] = fma(shifted, shifted, squares[q]);
            store<T>(at, shifted);
        }
    const T scale = T(1) / root(sum_of<T, slots>(squares) / n + static_cast<T>(norm_epsilon));  // [NORM.F2]
    for (index_t unit = 0; unit < padded; unit += W)
        for (int q = 0; q < slots; ++q) {
            T* const at = sums + q * padded + unit;
            store<T>(at, load<T>(at) * scale);
        }
    return scale;
}

/// d: gradients of the pre-activations. Overwrites the normalised sums by the gradients of the sums.
template <int slots, class T>
SKRNN_INLINE void normalize_backward(const T* d, const T* gains, T* d_gains, T* normalized, T scale, index_t padded,
                                     index_t size) {
    constexpr index_t W = width<T>;
    const T n = static_cast<T>(slots * size);
    vec<T> total[slots] = {}, products[slots] = {};
    for (index_t unit = 0; unit < padded; unit += W)
        for (int q = 0; q < slots; ++q) {
            const index_t at = q * padded + unit;
            const vec<T> d_q = load<T>(d + at), hat = load<T>(normalized + at);
            store<T>(d_gains + at, fma(d_q, hat, load<T>(d_gains + at)));  // [NORM.B1]
            const vec<T> d_hat = d_q * load<T>(gains + at);                // [NORM.B2]
            total[q] = total[q] + d_hat;
            products[q] = fma(d_hat, hat, products[q]);
        }
    const vec<T> mean = broadcast(sum_of<T, slots>(total) / n), slope = broadcast(sum_of<T, slots>(products) / n);
    for (index_t unit = 0; unit < padded; unit += W)
        for (int q = 0; q < slots; ++q) {
            const index_t at = q * padded + unit;
            const vec<T> d_hat = load<T>(d + at) * load<T>(gains + at), hat = load<T>(normalized + at);
            const vec<T> d_sum = (d_hat - mean - hat * slope) * scale;  // [NORM.B3]
            store<T>(normalized + at, lanes_below<T>(d_sum, size - unit));
        }
}

// ---- Zoneout --------------------------------------------------------------------------------------------------------

/// Where the states of one vector of units keep their values: lanes of ones.
template <class T>
struct Zones {
    typename Lanes<T>::integer kept[2];
};

/// As drawn for units [unit, unit + width) of a row at step t.
template <class T>
SKRNN_INLINE Zones<T> draw_zones(const Regularization<T>& reg, const Steps& steps, index_t t, index_t row,
                                 index_t unit) {
    using Bits = typename Lanes<T>::integer;
    const auto step = static_cast<typename WordLanes<T>::lane>(reg.first_step + steps.begin + t);
    const WordPair<T> drawn = threefry<T>(reg.row_keys[row], counting_from<T>(unit), words<T>{} + step);
    return {{(Bits)(drawn.first >> 1) < reg.zoneout_threshold, (Bits)(drawn.second >> 1) < reg.zoneout_threshold}};
}

// ---- Forward --------------------------------------------------------------------------------------------------------

/// Some slots of some vectors of units, as a tile has them, to rows of slots that are `padded` apart.
template <class T>
SKRNN_INLINE void spread(const T* sums, index_t line, index_t rows, int slots, index_t units, T* to, index_t stride,
                         index_t padded) {
    for (index_t r = 0; r < rows; ++r)
        for (int q = 0; q < slots; ++q)
            copy_vectors<T>(to + r * stride + q * padded, sums + r * line + q * units * width<T>, units * width<T>);
}

/// The products of stage J of step t: the sums of its slots in `gates`, or, to be normalised, in `parts`.
template <class Cell, int J, class T>
SKRNN_INLINE void regularized_products(const ForwardArgs<T>& args, const Regularization<T>& reg, index_t t,
                                       index_t row_begin, index_t row_end) {
    using L = StageLayout<Cell, J>;
    constexpr index_t W = width<T>;
    alignas(64) static constexpr T zeros[tile_width<T>] = {};

    const index_t H = args.padded_size, first = args.steps.first[t], gate_at = args.steps.gate_at[t];
    const index_t stride = Cell::data.n_slots * H;
    const T* const h_operand = J > 0                 ? args.operands + gate_at * H
                               : reg.mask != nullptr ? reg.masked + gate_at * H
                                                     : args.states + args.steps.state_at[t] * H;
    const T* panel = stage_panels<Cell, J>(args, 0);
    alignas(64) T sums[row_tile * tile_vectors * W];

    for (index_t u0 = 0; u0 < H / W; u0 += L::full) {
        const index_t units = H / W - u0 < L::full ? H / W - u0 : L::full;
        const index_t line = L::n_slots * units * W;  // one row of the tile
        const T* const bias = panel;
        const T* const x_panel = bias + line;
        const T* const h_panel = x_panel + args.input_size * L::x_slots * units * W;
        panel = h_panel + args.hidden_size * L::h_slots * units * W;
        T* const x_sums = sums + L::x_offset * units * W;
        T* const h_sums = sums + L::h_offset * units * W;

        for_row_tiles(row_begin, row_end, [&](index_t row, index_t rows) {
            const T* h_rows[row_tile];
            for (index_t r = 0; r < rows; ++r) h_rows[r] = h_operand + (row + r) * H;
            const Operand<T> x{args.x_rows + first + row, 0, 1, args.input_size, x_panel};
            const Operand<T> h{h_rows, 0, 1, args.hidden_size, h_panel};
            const index_t at = (gate_at + row) * stride + L::stage.slots.begin * H + u0 * W;
            if (reg.norm == nullptr) {
                for (index_t r = 0; r < rows; ++r) copy_vectors<T>(sums + r * line, bias, line);
                run_tile<T>(rows, L::x_slots * units, {&x, 1, x_sums, line, x_sums, line});
                run_tile<T>(rows, L::h_slots * units, {&h, 1, h_sums, line, h_sums, line});
                spread<T>(sums, line, rows, L::n_slots, units, args.gates + at, stride, H);
            } else {
                run_tile<T>(rows, L::x_slots * units, {&x, 1, zeros, 0, x_sums, line});
                spread<T>(x_sums, line, rows, L::x_slots, units, reg.parts[0] + at + L::x_offset * H, stride, H);
                run_tile<T>(rows, L::h_slots * units, {&h, 1, zeros, 0, h_sums, line});
                spread<T>(h_sums, line, rows, L::h_slots, units, reg.parts[1] + at + L::h_offset * H, stride, H);
            }
        });
    }
}

/// Where stage J of a row that is kept at `gate_row` has the scales of its two parts.
template <class Cell, int J, class T>
SKRNN_INLINE T* scales_of(const Regularization<T>& reg, index_t gate_row) {
    return reg.inverse_scales + (gate_row * Cell::data.n_stages + J) * 2;
}

/// What follows the products of stage J in one row.
template <class Cell, class A, int J, class T>
SKRNN_INLINE void regularized_row(const ForwardArgs<T>& args, const Regularization<T>& reg, index_t t, index_t row) {
    constexpr CellData data = Cell::data;
    constexpr Stage stage = data.stages[J];
    constexpr bool last = J + 1 == data.n_stages;
    constexpr index_t W = width<T>;
    using V = vecs<T, 1>;

    const index_t H = args.padded_size, state_stride = args.state_rows * H;
    const index_t gate_row = args.steps.gate_at[t] + row, at = gate_row * data.n_slots * H;
    const index_t before = (args.steps.state_at[t] + row) * H, after = (args.steps.state_at[t + 1] + row) * H;
    const bool normalizes = reg.norm != nullptr;
    if (normalizes) {
        T* const scales = scales_of<Cell, J>(reg, gate_row);
        scales[0] = normalize<slots_in(stage.x)>(reg.parts[0] + at + stage.x.begin * H, H, args.hidden_size);
        scales[1] = normalize<slots_in(stage.h)>(reg.parts[1] + at + stage.h.begin * H, H, args.hidden_size);
    }

    const V rate = V::all(reg.zoneout);
    for (index_t unit = 0; unit < H; unit += W) {
        T* const gates = args.gates + at + unit;
        V s[max_slots], prev[data.n_states], next[data.n_states];
        for (int q = 0; q < stage.slots.begin; ++q) s[q].of[0] = load<T>(gates + q * H);
        for (int q = stage.slots.begin; q < stage.slots.end; ++q) {
            if (!normalizes) {
                s[q].of[0] = load<T>(gates + q * H);
                continue;
            }
            // [NORM.F3]
            const index_t slot = q * H + unit, norm_stride = data.n_slots * H;
            vec<T> sum = load<T>(reg.norm + 2 * norm_stride + slot);
            if (q >= stage.x.begin && q < stage.x.end)
                sum = fma(load<T>(reg.norm + slot), load<T>(reg.parts[0] + at + slot), sum);
            if (q >= stage.h.begin && q < stage.h.end)
                sum = fma(load<T>(reg.norm + norm_stride + slot), load<T>(reg.parts[1] + at + slot), sum);
            s[q].of[0] = sum;
        }
        for (int n = 0; n < data.n_states; ++n) prev[n].of[0] = load<T>(args.states + n * state_stride + before + unit);
        Cell::template forward<A, J, V>(s, prev, next);
        for (int q = stage.slots.begin; q < stage.slots.end; ++q) store<T>(gates + q * H, s[q].of[0]);

        if constexpr (!last) {
            vec<T> operand = next[0].of[0];
            if (reg.mask != nullptr) operand = operand * load<T>(reg.mask + row * H + unit);  // [DROP.F2]
            store<T>(args.operands + gate_row * H + unit, operand);
        } else {
            if (reg.unzoned != nullptr)
                for (int n = 0; n < data.n_states; ++n)
                    store<T>(reg.unzoned + (n * reg.unzoned_rows + gate_row) * H + unit, next[n].of[0]);
            if (reg.row_keys != nullptr) {
                const Zones<T> zones = draw_zones(reg, args.steps, t, row, unit);
                for (int n = 0; n < data.n_states; ++n)
                    next[n].of[0] = zones.kept[n] ? prev[n].of[0] : next[n].of[0];  // [ZONE.F1]
            } else if (reg.zoneout > 0) {
                for (int n = 0; n < data.n_states; ++n) next[n] = fma(rate, prev[n] - next[n], next[n]);  // [ZONE.F2]
            }
            for (int n = 0; n < data.n_states; ++n)
                store<T>(args.states + n * state_stride + after + unit, next[n].of[0]);
            if (args.y_rows != nullptr)
                store_up_to<T>(args.y_rows[args.steps.first[t] + row] + unit, next[0].of[0], args.hidden_size - unit);
        }
    }
}

template <class Cell, class A, int J, class T>
SKRNN_INLINE void regularized_stage(const ForwardArgs<T>& args, const Regularization<T>& reg, index_t t,
                                    index_t row_begin, index_t row_end) {
    regularized_products<Cell, J>(args, reg, t, row_begin, row_end);
    for (index_t row = row_begin; row < row_end; ++row) regularized_row<Cell, A, J>(args, reg, t, row);
}

template <class Cell, class A, class T>
void regularized_forward_loop(const ForwardArgs<T>& args, const Regularization<T>& reg, const Share& share) {
    const index_t H = args.padded_size;
    for (index_t t = 0; t < args.steps.steps; ++t) {
        const index_t end = args.steps.active[t] < share.row_end ? args.steps.active[t] : share.row_end;
        if (end <= share.row_begin) return;
        if (reg.mask != nullptr)
            for (index_t row = share.row_begin; row < end; ++row) {
                const T* const h = args.states + (args.steps.state_at[t] + row) * H;
                T* const masked = reg.masked + (args.steps.gate_at[t] + row) * H;
                for (index_t unit = 0; unit < H; unit += width<T>)
                    store<T>(masked + unit, load<T>(h + unit) * load<T>(reg.mask + row * H + unit));  // [DROP.F1]
            }
        regularized_stage<Cell, A, 0>(args, reg, t, share.row_begin, end);
        if constexpr (Cell::data.n_stages > 1) regularized_stage<Cell, A, 1>(args, reg, t, share.row_begin, end);
    }
}

// ---- Backward -------------------------------------------------------------------------------------------------------

/// The cell on one vector of units of one row; arrived: what comes through a product.
template <class Cell, class A, int J, class T>
SKRNN_INLINE void regularized_epilogue(const BackwardArgs<T>& args, const Regularization<T>& reg, index_t t,
                                       index_t row, index_t unit, vec<T> arrived) {
    constexpr CellData data = Cell::data;
    constexpr bool last = J + 1 == data.n_stages;
    using V = vecs<T, 1>;

    const index_t H = args.padded_size, state_stride = args.state_rows * H, d_stride = args.steps.rows * H;
    const index_t gate_row = args.steps.gate_at[t] + row;
    const index_t before = (args.steps.state_at[t] + row) * H, after = (args.steps.state_at[t + 1] + row) * H;
    T* const gates = args.gates + gate_row * data.n_slots * H + unit;
    T* const d_states = args.d_states + row * H + unit;
    V s[max_slots], prev[data.n_states], next[data.n_states], d[data.n_states], d_prev[data.n_states];
    for (int q = 0; q < data.n_slots; ++q) s[q].of[0] = load<T>(gates + q * H);
    for (int n = 0; n < data.n_states; ++n) {
        const T* const states = args.states + n * state_stride + unit;
        prev[n].of[0] = load<T>(states + before);
        next[n].of[0] = reg.unzoned != nullptr ? load<T>(reg.unzoned + (n * reg.unzoned_rows + gate_row) * H + unit)
                                               : load<T>(states + after);
        d[n].of[0] = load<T>(d_states + n * d_stride);
    }
    if (reg.mask != nullptr) arrived = arrived * load<T>(reg.mask + row * H + unit);  // [DROP.B1]
    if constexpr (last) {
        d[0].of[0] = d[0].of[0] + arrived;
        if (args.dy_rows != nullptr)
            d[0].of[0] =
                d[0].of[0] + load_up_to<T>(args.dy_rows[args.steps.first[t] + row] + unit, args.hidden_size - unit);
        V kept[data.n_states];
        if (reg.row_keys != nullptr) {  // [ZONE.B1]
            const Zones<T> zones = draw_zones(reg, args.steps, t, row, unit);
            for (int n = 0; n < data.n_states; ++n) {
                kept[n].of[0] = zones.kept[n] ? d[n].of[0] : vec<T>{};
                d[n].of[0] = zones.kept[n] ? vec<T>{} : d[n].of[0];
            }
        }
        Cell::template backward<A, J, V>(s, prev, next, d, d_prev);
        for (int n = 0; n < data.n_states; ++n) {
            if (reg.row_keys != nullptr) d_prev[n] = d_prev[n] + kept[n];  // [ZONE.B2]
            store<T>(d_states + n * d_stride, d_prev[n].of[0]);
        }
    } else {
        const vec<T> d_h = d[0].of[0];
        d[0].of[0] = arrived;
        Cell::template backward<A, J, V>(s, prev, next, d, d_prev);
        store<T>(d_states, d_h + d_prev[0].of[0]);
    }
    constexpr Range written = last ? Range{0, data.n_slots} : data.stages[J].slots;
    for (int q = written.begin; q < written.end; ++q) store<T>(gates + q * H, s[q].of[0]);
}

/// The way back through the normalisation of one part of stage J in one row.
template <class Cell, int J, int part, class T>
SKRNN_INLINE void normalize_part_backward(const BackwardArgs<T>& args, const Regularization<T>& reg, index_t gate_row,
                                          index_t row) {
    constexpr CellData data = Cell::data;
    constexpr Range slots = part == 0 ? data.stages[J].x : data.stages[J].h;
    const index_t H = args.padded_size, stride = data.n_slots * H, begin = slots.begin * H;
    normalize_backward<slots_in(slots)>(args.gates + gate_row * stride + begin, reg.norm + part * stride + begin,
                                        reg.d_norm + (row * 3 + part) * stride + begin,
                                        reg.parts[part] + gate_row * stride + begin,
                                        scales_of<Cell, J>(reg, gate_row)[part], H, args.hidden_size);
}

/// A thread's rows of stage J of step t backwards; as backward_stage. `products` is `args`, but its gates are what the
/// products with U take the gradients of sums from.
template <class Cell, class A, int J, class T>
SKRNN_INLINE void regularized_backward_stage(const BackwardArgs<T>& args, const BackwardArgs<T>& products,
                                             const Regularization<T>& reg, index_t t, bool arrives, index_t row_begin,
                                             index_t row_end) {
    constexpr CellData data = Cell::data;
    constexpr Range slots = data.stages[J].slots;
    constexpr index_t W = width<T>;
    constexpr bool last = J + 1 == data.n_stages;
    constexpr int From = last ? 0 : J + 1;
    const index_t t_from = last ? t + 1 : t;

    const index_t H = args.padded_size, unit_vectors = H / W;
    alignas(64) T sums[row_tile * tile_width<T>];
    const T* panel = recurrent_panels<Cell, From, T>(args, 0);
    for (index_t u0 = 0; u0 < unit_vectors; u0 += tile_vectors) {
        const index_t units = unit_vectors - u0 < tile_vectors ? unit_vectors - u0 : tile_vectors;
        for_row_tiles(row_begin, row_end, [&](index_t row, index_t rows) {
            if (arrives) recurrent_gradient<Cell, From, T>(products, t_from, row, rows, units, panel, sums);
            for (index_t r = 0; r < rows; ++r)
                for (index_t u = 0; u < units; ++u) {
                    // -0 for nothing, as in backward_epilogue
                    const vec<T> arrived = arrives ? load<T>(sums + (r * units + u) * W) : broadcast(T(-0.0));
                    regularized_epilogue<Cell, A, J>(args, reg, t, row + r, (u0 + u) * W, arrived);
                }
        });
        panel += slots_in(data.stages[From].h) * args.hidden_size * units * W;
    }
    if (reg.norm == nullptr) return;
    for (index_t row = row_begin; row < row_end; ++row) {
        const index_t gate_row = args.steps.gate_at[t] + row;
        const T* const d = args.gates + gate_row * data.n_slots * H;
        T* const d_bias = reg.d_norm + (row * 3 + 2) * data.n_slots * H;
        for (index_t i = slots.begin * H; i < slots.end * H; i += W)
            store<T>(d_bias + i, load<T>(d_bias + i) + load<T>(d + i));  // [NORM.B4]
        normalize_part_backward<Cell, J, 0>(args, reg, gate_row, row);
        normalize_part_backward<Cell, J, 1>(args, reg, gate_row, row);
    }
}

template <class Cell, class A, class T>
void regularized_backward_loop(const BackwardArgs<T>& args, const Regularization<T>& reg, const Share& share) {
    constexpr int stages = Cell::data.n_stages;
    const index_t row_begin = share.row_begin, row_end = share.row_end;
    const auto clip = [&](index_t row) { return row < row_begin ? row_begin : row < row_end ? row : row_end; };
    const index_t H = args.padded_size;
    BackwardArgs<T> products = args;
    if (reg.norm != nullptr) products.gates = reg.parts[1];

    for (index_t t = args.steps.steps - 1; t >= 0; --t) {
        const index_t end = clip(args.steps.active[t]);
        if (end <= row_begin) continue;
        const index_t going_on = t + 1 < args.steps.steps ? clip(args.steps.active[t + 1]) : row_begin;
        regularized_backward_stage<Cell, A, stages - 1>(args, products, reg, t, true, row_begin, going_on);
        regularized_backward_stage<Cell, A, stages - 1>(args, products, reg, t, false, going_on, end);
        if constexpr (stages > 1) regularized_backward_stage<Cell, A, 0>(args, products, reg, t, true, row_begin, end);
    }
    if (args.steps.steps == 0) return;

    // What is left of the gradient of the h before these steps: through U at the first of them.
    alignas(64) T sums[row_tile * tile_width<T>];
    const T* panel = recurrent_panels<Cell, 0, T>(args, 0);
    for (index_t u0 = 0; u0 < H / width<T>; u0 += tile_vectors) {
        const index_t left = H / width<T> - u0, units = left < tile_vectors ? left : tile_vectors;
        for_row_tiles(row_begin, clip(args.steps.active[0]), [&](index_t row, index_t rows) {
            recurrent_gradient<Cell, 0, T>(products, 0, row, rows, units, panel, sums);
            for (index_t r = 0; r < rows; ++r)
                for (index_t u = 0; u < units; ++u) {
                    const index_t at = (row + r) * H + (u0 + u) * width<T>;
                    vec<T> arrived = load<T>(sums + (r * units + u) * width<T>);
                    if (reg.mask != nullptr) arrived = arrived * load<T>(reg.mask + at);
                    store<T>(args.d_states + at, load<T>(args.d_states + at) + arrived);
                }
        });
        panel += slots_in(Cell::data.stages[0].h) * args.hidden_size * units * width<T>;
    }
}

template <class Cell, class T>
void forward_regularized(const ForwardArgs<T>& args, const Regularization<T>& reg, const Share& share) {
    switch (args.activation) {
        case Activation::tanh:
            return regularized_forward_loop<Cell, TanhActivation, T>(args, reg, share);
        case Activation::relu:
            return regularized_forward_loop<Cell, ReluActivation, T>(args, reg, share);
        case Activation::linear:
            return regularized_forward_loop<Cell, LinearActivation, T>(args, reg, share);
    }
}

template <class Cell, class T>
void backward_regularized(const BackwardArgs<T>& args, const Regularization<T>& reg, const Share& share) {
    switch (args.activation) {
        case Activation::tanh:
            return regularized_backward_loop<Cell, TanhActivation, T>(args, reg, share);
        case Activation::relu:
            return regularized_backward_loop<Cell, ReluActivation, T>(args, reg, share);
        case Activation::linear:
            return regularized_backward_loop<Cell, LinearActivation, T>(args, reg, share);
    }
}

}  // namespace
}  // namespace skrnn
