// The time loop and backpropagation through time, written once for all cells.
//
// Design:
//   a. A step is a product and an epilogue. The packed panels hold all slots of the same hidden units side by side, so
//      that when a register tile is done, the cell can be computed for those units at once; pre-activations never
//      reach memory beyond one tile, which stays in the first-level cache.
//   b. x(t) and h(t-1) are two operands of one product: [x, h] is never assembled.
//   c. Panels are the outer loop, rows the inner one: a panel is read from the cache for all rows of the shard.
//   d. Direction, raggedness, batch order and strides are all in the row pointers of the plan; the loop sees only
//      packed steps, of which rows [0, active[t]) exist at step t.
//   e. Where a shard has too few rows to fill tiles, each step would read all weights for very few multiply-adds. There
//      x W + b is computed beforehand for a block of steps, whose rows do fill tiles, and h U is added to it. The sums
//      are the same chains, paused in memory in between.
//   f. Threads share rows where there are enough of them. Where not, they share the panels of hidden units of all rows
//      and meet after each stage; a panel is computed by one thread, so that no sum notices.
//   g. Backward, the product of step t+1's gradients with U is followed by the cell's backward of step t as its
//      epilogue, which overwrites the activations of step t by the gradients of its pre-activations.
// Equations: docs/derivations.
#pragma once

#include "gemm.h"

namespace skrnn {
namespace {

constexpr int slots_in(Range range) { return range.end - range.begin; }

/// Vectors of hidden units in a full panel of a stage with that many slots.
constexpr int units_per_panel(int slots) { return slots >= tile_vectors ? 1 : tile_vectors / slots; }

/// Sums of x W + b for the (step, row) pairs of some steps, panel by panel: [panel][pair][line].
template <class T>
struct Projection {
    const T* sums = nullptr;  // null: there is none, x W belongs to the product of the step
    index_t pairs = 0;
    index_t pair = 0;  // that of the shard's first row at the step in question
};

/// Where a stage's panels lie in the packed weights, and how its slots lie in a tile.
template <class Cell, int J>
struct StageLayout {
    static constexpr Stage stage = Cell::data.stages[J];
    static constexpr int n_slots = slots_in(stage.slots), x_slots = slots_in(stage.x), h_slots = slots_in(stage.h);
    static constexpr int x_offset = stage.x.begin - stage.slots.begin, h_offset = stage.h.begin - stage.slots.begin;
    static constexpr int full = units_per_panel(n_slots);  // vectors of units in all panels but the last
    /// Whether the products with x and with h make the same slots, and can be one.
    static constexpr bool together = x_offset == h_offset && x_slots == h_slots;
    /// Rows that an epilogue computes in lockstep. Where a panel is one vector of units wide, nothing else in a tile
    /// could keep the processor busy during an activation's chain of dependent operations.
    static constexpr int lot = full == 1 ? lockstep : 1;
    /// Rows of one vector that a panel holds for each of its vectors of units.
    static constexpr index_t depth(index_t input_size, index_t hidden_size) {
        return n_slots + input_size * x_slots + hidden_size * h_slots;
    }
};

/// The vectors of hidden units [begin, end) that are a thread's, of panels of `full` vectors.
struct Units {
    index_t begin, end;
};
SKRNN_INLINE Units units_of(const Share& share, index_t unit_vectors, index_t full) {
    const index_t panels = (unit_vectors + full - 1) / full;
    const index_t end = panels * (share.part + 1) / share.parts * full;
    return {panels * share.part / share.parts * full, end < unit_vectors ? end : unit_vectors};
}

SKRNN_INLINE void meet(const Share& share) {
    if (share.meet != nullptr) share.meet(share.meeting, share.parts);
}

/// Rows of a tile that an epilogue computes in lockstep. Where there are fewer than K, the last one is there more than
/// once: read before it is written, and then written the same.
template <int K>
struct RowLot {
    index_t of[K];

    [[gnu::always_inline]] RowLot(index_t first, index_t rows) {
        for (int k = 0; k < K; ++k) of[k] = first + k < rows ? first + k : rows - 1;
    }
};

/// One vector of each row: rows are `stride` apart.
template <class T, int K>
SKRNN_INLINE vecs<T, K> load_rows(const RowLot<K>& rows, const T* base, index_t stride) {
    vecs<T, K> v;
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) v.of[k] = load<T>(base + rows.of[k] * stride);
    return v;
}

template <class T, int K>
SKRNN_INLINE void store_rows(const RowLot<K>& rows, T* base, index_t stride, const vecs<T, K>& v) {
#pragma GCC unroll 8
    for (int k = 0; k < K; ++k) store<T>(base + rows.of[k] * stride, v.of[k]);
}

/// The first n elements of one vector of each row, which is at table[row] + offset.
template <class T, int K>
SKRNN_INLINE vecs<T, K> load_rows_up_to(const RowLot<K>& rows, const T* const* table, index_t offset, index_t n) {
    vecs<T, K> v;
    if (n >= width<T>) {
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) v.of[k] = load<T>(table[rows.of[k]] + offset);
    } else {
        for (int k = 0; k < K; ++k) v.of[k] = load_first<T>(table[rows.of[k]] + offset, n);
    }
    return v;
}

template <class T, int K>
SKRNN_INLINE void store_rows_up_to(const RowLot<K>& rows, T* const* table, index_t offset, const vecs<T, K>& v,
                                   index_t n) {
    if (n >= width<T>) {
#pragma GCC unroll 8
        for (int k = 0; k < K; ++k) store<T>(table[rows.of[k]] + offset, v.of[k]);
    } else {
        for (int k = 0; k < K; ++k) store_first<T>(table[rows.of[k]] + offset, v.of[k], n);
    }
}

template <class T>
SKRNN_INLINE void copy_vectors(T* to, const T* from, index_t n) {
    for (index_t i = 0; i < n; i += width<T>) store<T>(to + i, load<T>(from + i));
}

/// Where the panels of stage J begin that hold the units from `unit_vector` on.
template <class Cell, int J, class T>
SKRNN_INLINE const T* stage_panels(const ForwardArgs<T>& args, index_t unit_vector) {
    const T* panel = args.weights;
    if constexpr (J > 0) panel += StageLayout<Cell, 0>::depth(args.input_size, args.hidden_size) * args.padded_size;
    return panel + StageLayout<Cell, J>::depth(args.input_size, args.hidden_size) * unit_vector * width<T>;
}

/// Writes a thread's part of the projection of one stage.
template <class Cell, int J, class T>
SKRNN_INLINE void project_stage(const ForwardArgs<T>& args, const Share& share, const T* const* x_rows, index_t pairs,
                                T* sums) {
    using L = StageLayout<Cell, J>;
    constexpr index_t W = width<T>;
    const Units mine = units_of(share, args.padded_size / W, L::full);
    const T* panel = stage_panels<Cell, J>(args, mine.begin);
    sums += mine.begin * W * L::n_slots * pairs;
    for (index_t u0 = mine.begin; u0 < mine.end; u0 += L::full) {
        const index_t units = mine.end - u0 < L::full ? mine.end - u0 : L::full;
        const index_t line = L::n_slots * units * W;
        const T* const bias = panel;
        const T* const x_panel = bias + line;
        panel = x_panel + (args.input_size * L::x_slots + args.hidden_size * L::h_slots) * units * W;
        for_row_tiles(0, pairs, [&](index_t pair, index_t rows) {
            T* const out = sums + pair * line;
            for (index_t r = 0; r < rows; ++r) copy_vectors<T>(out + r * line, bias, line);
            const Operand<T> operand{x_rows + pair, 0, 1, args.input_size, x_panel};
            T* const x_out = out + L::x_offset * units * W;
            run_tile<T>(rows, L::x_slots * units, {&operand, 1, x_out, line, x_out, line});
        });
        sums += pairs * line;
    }
}

/// The cell on `units` vectors of units from u0 on of those rows of the tile that begins at `row`, whose sums are
/// given.
template <class Cell, class A, int J, int K, class T>
SKRNN_INLINE void forward_epilogue(const ForwardArgs<T>& args, index_t t, index_t u0, index_t units, index_t row,
                                   const RowLot<K> rows, const T* sums) {
    constexpr CellData data = Cell::data;
    constexpr Range slots = data.stages[J].slots;
    constexpr int n_slots = slots_in(slots);
    constexpr index_t W = width<T>;
    using V = vecs<T, K>;

    const index_t H = args.padded_size, state_stride = args.state_rows * H, gate_stride = data.n_slots * H;
    const index_t packed = args.steps.first[t] + row;
    const index_t before = args.steps.state_at[t] + row, after = args.steps.state_at[t + 1] + row;
    const index_t gate_row = args.steps.gate_at[t] + row;
    for (index_t u = 0; u < units; ++u) {
        const index_t unit = (u0 + u) * W;
        T* const gates = args.gates == nullptr ? nullptr : args.gates + gate_row * gate_stride + unit;
        V s[max_slots], prev[data.n_states], next[data.n_states];
        for (int q = 0; q < slots.begin; ++q) s[q] = load_rows<T>(rows, gates + q * H, gate_stride);
        for (int q = 0; q < n_slots; ++q)
            s[slots.begin + q] = load_rows<T>(rows, sums + (q * units + u) * W, n_slots * units * W);
        for (int n = 0; n < data.n_states; ++n)
            prev[n] = load_rows<T>(rows, args.states + n * state_stride + before * H + unit, H);
        Cell::template forward<A, J, V>(s, prev, next);
        if (gates != nullptr)
            for (int q = slots.begin; q < slots.end; ++q) store_rows<T>(rows, gates + q * H, gate_stride, s[q]);
        if constexpr (J + 1 == data.n_stages) {
            for (int n = 0; n < data.n_states; ++n)
                store_rows<T>(rows, args.states + n * state_stride + after * H + unit, H, next[n]);
            if (args.y_rows != nullptr)
                store_rows_up_to<T>(rows, args.y_rows + packed, unit, next[0], args.hidden_size - unit);
        } else {
            store_rows<T>(rows, args.operands + gate_row * H + unit, H, next[0]);
        }
    }
}

/// A thread's units of stage J of step t, for rows [row_begin, row_end).
template <class Cell, class A, int J, class T>
SKRNN_INLINE void forward_stage(const ForwardArgs<T>& args, const Share& share, index_t t, index_t row_begin,
                                index_t row_end, Projection<T> projection) {
    using L = StageLayout<Cell, J>;
    constexpr int n_slots = L::n_slots;
    constexpr index_t W = width<T>;

    const index_t H = args.padded_size, first = args.steps.first[t];
    const T* const h_operand =
        J == 0 ? args.states + args.steps.state_at[t] * H : args.operands + args.steps.gate_at[t] * H;
    const Units mine = units_of(share, H / W, L::full);
    const T* panel = stage_panels<Cell, J>(args, mine.begin);
    alignas(64) T sums[row_tile * tile_vectors * W];

    for (index_t u0 = mine.begin; u0 < mine.end; u0 += L::full) {
        const index_t units = mine.end - u0 < L::full ? mine.end - u0 : L::full;
        const index_t line = n_slots * units * W;  // one row of the tile
        const T* const bias = panel;
        const T* const x_panel = bias + line;
        const T* const h_panel = x_panel + args.input_size * L::x_slots * units * W;
        panel = h_panel + args.hidden_size * L::h_slots * units * W;

        const bool projected = projection.sums != nullptr;
        const T* const begun = projected ? projection.sums + u0 * W * n_slots * projection.pairs : bias;
        const index_t begun_stride = projected ? line : 0;

        for_row_tiles(row_begin, row_end, [&](index_t row, index_t rows) {
            const T* h_rows[row_tile];
            for (index_t r = 0; r < rows; ++r) h_rows[r] = h_operand + (row + r) * H;
            const Operand<T> operands[2] = {{args.x_rows + first + row, 0, 1, args.input_size, x_panel},
                                            {h_rows, 0, 1, args.hidden_size, h_panel}};
            const T* const init = begun + (projection.pair + row - row_begin) * begun_stride;
            if constexpr (L::together) {
                run_tile<T>(rows, n_slots * units,
                            {operands + projected, 2 - projected, init, begun_stride, sums, line});
            } else if (projected) {
                for (index_t r = 0; r < rows; ++r) copy_vectors<T>(sums + r * line, init + r * begun_stride, line);
                T* const h_sums = sums + L::h_offset * units * W;
                run_tile<T>(rows, L::h_slots * units, {operands + 1, 1, h_sums, line, h_sums, line});
            } else {
                static_assert(L::full == 1 && L::x_offset == 0 && L::h_offset + L::h_slots == n_slots,
                              "slots that only one of x and h feeds stand at the two ends of a full panel");
                run_overlapping_tile<T, n_slots, L::x_slots, L::h_offset>(
                    rows, {operands, 2, init, begun_stride, sums, line});
            }

            if (L::lot > 1 && rows > 1 && !args.writes_far)
                for (index_t r = 0; r < rows; r += L::lot)
                    forward_epilogue<Cell, A, J>(args, t, u0, units, row, RowLot<L::lot>(r, rows), sums);
            else
                for (index_t r = 0; r < rows; ++r)
                    forward_epilogue<Cell, A, J>(args, t, u0, units, row, RowLot<1>(r, rows), sums);
        });
    }
}

/// All stages of step t; the projection of the later ones follows that of the first.
template <class Cell, class A, class T>
SKRNN_INLINE void forward_step(const ForwardArgs<T>& args, const Share& share, index_t t, index_t row_end,
                               Projection<T> projection) {
    forward_stage<Cell, A, 0, T>(args, share, t, share.row_begin, row_end, projection);
    meet(share);
    if constexpr (Cell::data.n_stages > 1) {
        if (projection.sums != nullptr)
            projection.sums += slots_in(Cell::data.stages[0].slots) * args.padded_size * projection.pairs;
        forward_stage<Cell, A, 1, T>(args, share, t, share.row_begin, row_end, projection);
        meet(share);
    }
}

template <class Cell, class A, class T>
void forward_loop(const ForwardArgs<T>& args, const Share& share) {
    const auto rows_at = [&](index_t t) {
        const index_t end = args.steps.active[t] < share.row_end ? args.steps.active[t] : share.row_end;
        return end > share.row_begin ? end - share.row_begin : 0;
    };
    if (args.projections == nullptr || share.row_end - share.row_begin > few_rows) {
        for (index_t t = 0; t < args.steps.steps && rows_at(t) > 0; ++t)
            forward_step<Cell, A, T>(args, share, t, share.row_begin + rows_at(t), Projection<T>{});
        return;
    }

    T* const sums = args.projections + share.row_begin * projection_steps * Cell::data.n_slots * args.padded_size;
    const T* x_rows[few_rows * projection_steps];
    for (index_t start = 0; start < args.steps.steps && rows_at(start) > 0;) {
        index_t pairs = 0, end = start;
        for (; end < args.steps.steps && end < start + projection_steps; ++end)
            for (index_t row = 0; row < rows_at(end); ++row)
                x_rows[pairs++] = args.x_rows[args.steps.first[end] + share.row_begin + row];
        project_stage<Cell, 0, T>(args, share, x_rows, pairs, sums);
        if constexpr (Cell::data.n_stages > 1)
            project_stage<Cell, 1, T>(args, share, x_rows, pairs,
                                      sums + slots_in(Cell::data.stages[0].slots) * args.padded_size * pairs);
        for (index_t pair = 0; start < end; ++start) {
            forward_step<Cell, A, T>(args, share, start, share.row_begin + rows_at(start), {sums, pairs, pair});
            pair += rows_at(start);
        }
    }
}

/// Sums for rows [row, row + rows): the gradients of stage J's pre-activations at step t times U (transposed).
template <class Cell, int J, class T>
SKRNN_INLINE void recurrent_gradient(const BackwardArgs<T>& args, index_t t, index_t row, index_t rows, index_t units,
                                     const T* panel, T* sums) {
    constexpr CellData data = Cell::data;
    constexpr Range h = data.stages[J].h;
    alignas(64) static constexpr T zeros[tile_width<T>] = {};
    const index_t H = args.padded_size;
    const T* rows_of[row_tile];
    for (index_t r = 0; r < rows; ++r) rows_of[r] = args.gates + (args.steps.gate_at[t] + row + r) * data.n_slots * H;
    Operand<T> operands[max_slots];
    for (int q = h.begin; q < h.end; ++q)
        operands[q - h.begin] = {rows_of, q * H, 1, args.hidden_size,
                                 panel + (q - h.begin) * args.hidden_size * units * width<T>};
    run_tile<T>(rows, units, {operands, slots_in(h), zeros, 0, sums, units * width<T>});
}

/// Where the panels of stage J's transposed recurrent weights begin that hold the units from `unit_vector` on.
template <class Cell, int J, class T>
SKRNN_INLINE const T* recurrent_panels(const BackwardArgs<T>& args, index_t unit_vector) {
    const T* p = args.weights;
    for (int j = 0; j < J; ++j) p += slots_in(Cell::data.stages[j].h) * args.hidden_size * args.padded_size;
    return p + slots_in(Cell::data.stages[J].h) * args.hidden_size * unit_vector * width<T>;
}

/// As forward_epilogue; through: what arrives through the product, null where nothing does.
template <class Cell, class A, int J, int K, class T>
SKRNN_INLINE void backward_epilogue(const BackwardArgs<T>& args, index_t t, index_t u0, index_t units, index_t row,
                                    const RowLot<K> rows, const T* through) {
    constexpr CellData data = Cell::data;
    constexpr index_t W = width<T>;
    using V = vecs<T, K>;

    const index_t H = args.padded_size, state_stride = args.state_rows * H, d_stride = args.steps.rows * H;
    const index_t gate_stride = data.n_slots * H;
    const index_t packed = args.steps.first[t] + row;
    const index_t before = args.steps.state_at[t] + row, after = args.steps.state_at[t + 1] + row;
    for (index_t u = 0; u < units; ++u) {
        const index_t unit = (u0 + u) * W;
        T* const gates = args.gates + (args.steps.gate_at[t] + row) * gate_stride + unit;
        T* const d_states = args.d_states + row * H + unit;
        V s[max_slots], prev[data.n_states], next[data.n_states], d[data.n_states], d_prev[data.n_states];
        for (int q = 0; q < data.n_slots; ++q) s[q] = load_rows<T>(rows, gates + q * H, gate_stride);
        for (int n = 0; n < data.n_states; ++n) {
            const T* const states = args.states + n * state_stride + unit;
            prev[n] = load_rows<T>(rows, states + before * H, H);
            next[n] = load_rows<T>(rows, states + after * H, H);
            d[n] = load_rows<T>(rows, d_states + n * d_stride, H);
        }
        // Nothing is -0, which changes no sum: +0 would make one of an underflown -0, and bits depend on the pieces.
        const V arrived = through == nullptr ? V::all(T(-0.0)) : load_rows<T>(rows, through + u * W, units * W);
        if constexpr (J + 1 == data.n_stages) {
            d[0] = d[0] + arrived;
            if (args.dy_rows != nullptr)
                d[0] = d[0] + load_rows_up_to<T>(rows, args.dy_rows + packed, unit, args.hidden_size - unit);
            Cell::template backward<A, J, V>(s, prev, next, d, d_prev);
            for (int n = 0; n < data.n_states; ++n) store_rows<T>(rows, d_states + n * d_stride, H, d_prev[n]);
        } else {
            const V d_h = d[0];
            d[0] = arrived;
            Cell::template backward<A, J, V>(s, prev, next, d, d_prev);
            store_rows<T>(rows, d_states, H, d_h + d_prev[0]);
        }
        // An earlier stage leaves the later ones' gradients alone, which other threads may be reading.
        constexpr Range written = J + 1 == data.n_stages ? Range{0, data.n_slots} : data.stages[J].slots;
        for (int q = written.begin; q < written.end; ++q) store_rows<T>(rows, gates + q * H, gate_stride, s[q]);
    }
}

/// A thread's units of stage J of step t backwards, for rows [row_begin, row_end). The gradient that reaches it through
/// a product comes from stage `From` of step t_from; `arrives` is false at the last step of a row, where there is none.
template <class Cell, class A, int J, class T>
SKRNN_INLINE void backward_stage(const BackwardArgs<T>& args, const Share& share, index_t t, bool arrives,
                                 index_t row_begin, index_t row_end) {
    constexpr CellData data = Cell::data;
    constexpr index_t W = width<T>;
    constexpr bool last = J + 1 == data.n_stages;
    constexpr int From = last ? 0 : J + 1;
    const index_t t_from = last ? t + 1 : t;

    const Units mine = units_of(share, args.padded_size / W, tile_vectors);
    alignas(64) T sums[row_tile * tile_width<T>];
    const T* panel = recurrent_panels<Cell, From, T>(args, mine.begin);

    for (index_t u0 = mine.begin; u0 < mine.end; u0 += tile_vectors) {
        const index_t units = mine.end - u0 < tile_vectors ? mine.end - u0 : tile_vectors;
        for_row_tiles(row_begin, row_end, [&](index_t row, index_t rows) {
            if (arrives) recurrent_gradient<Cell, From, T>(args, t_from, row, rows, units, panel, sums);
            const T* const through = arrives ? sums : nullptr;
            for (index_t r = 0; r < rows; ++r)
                backward_epilogue<Cell, A, J>(args, t, u0, units, row, RowLot<1>(r, rows), through);
        });
        panel += slots_in(data.stages[From].h) * args.hidden_size * units * W;
    }
}

template <class Cell, class A, class T>
void backward_loop(const BackwardArgs<T>& args, const Share& share) {
    constexpr int stages = Cell::data.n_stages;
    const index_t row_begin = share.row_begin, row_end = share.row_end;
    const auto clip = [&](index_t row) { return row < row_begin ? row_begin : row < row_end ? row : row_end; };
    const index_t H = args.padded_size;

    for (index_t t = args.steps.steps - 1; t >= 0; --t) {
        const index_t end = clip(args.steps.active[t]);
        if (end <= row_begin) continue;
        // Through the product with U; what comes through that of a later piece is in d_states already.
        const index_t going_on = t + 1 < args.steps.steps ? clip(args.steps.active[t + 1]) : row_begin;
        backward_stage<Cell, A, stages - 1, T>(args, share, t, true, row_begin, going_on);
        backward_stage<Cell, A, stages - 1, T>(args, share, t, false, going_on, end);
        meet(share);
        if constexpr (stages > 1) {
            backward_stage<Cell, A, 0, T>(args, share, t, true, row_begin, end);
            meet(share);
        }
    }
    if (args.steps.steps == 0) return;

    // What is left of the gradient of the h before these steps: through U at the first of them.
    alignas(64) T sums[row_tile * tile_width<T>];
    const Units mine = units_of(share, H / width<T>, tile_vectors);
    const T* panel = recurrent_panels<Cell, 0, T>(args, mine.begin);
    for (index_t u0 = mine.begin; u0 < mine.end; u0 += tile_vectors) {
        const index_t units = mine.end - u0 < tile_vectors ? mine.end - u0 : tile_vectors;
        for_row_tiles(row_begin, clip(args.steps.active[0]), [&](index_t row, index_t rows) {
            recurrent_gradient<Cell, 0, T>(args, 0, row, rows, units, panel, sums);
            for (index_t r = 0; r < rows; ++r)
                for (index_t u = 0; u < units; ++u) {
                    T* const d_h = args.d_states + (row + r) * H + (u0 + u) * width<T>;
                    store<T>(d_h, load<T>(d_h) + load<T>(sums + (r * units + u) * width<T>));
                }
        });
        panel += slots_in(Cell::data.stages[0].h) * args.hidden_size * units * width<T>;
    }
}

template <class Cell, class T>
void forward(const ForwardArgs<T>& args, const Share& share) {
    switch (args.activation) {
        case Activation::tanh:
            return forward_loop<Cell, TanhActivation, T>(args, share);
        case Activation::relu:
            return forward_loop<Cell, ReluActivation, T>(args, share);
        case Activation::linear:
            return forward_loop<Cell, LinearActivation, T>(args, share);
    }
}

template <class Cell, class T>
void backward(const BackwardArgs<T>& args, const Share& share) {
    switch (args.activation) {
        case Activation::tanh:
            return backward_loop<Cell, TanhActivation, T>(args, share);
        case Activation::relu:
            return backward_loop<Cell, ReluActivation, T>(args, share);
        case Activation::linear:
            return backward_loop<Cell, LinearActivation, T>(args, share);
    }
}

}  // namespace
}  // namespace skrnn
