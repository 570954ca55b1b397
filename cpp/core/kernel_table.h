// The contract between the kernels (compiled once per instruction set) and everything above them.
//
// Only plain data and function pointers live here: this header is compiled into every instruction set's object, so a
// function with external linkage in it could leak code for one processor into a program running on another.
//
// Words used throughout:
//   row         one sequence of the batch, in the order of the plan (longest first)
//   packed step one (time step, row) pair that really exists; numbered time-major: first[t] + row
//   slot        one pre-activation (later activation, later gradient) per hidden unit; see CellData
//   padded      rounded up to whole vectors; padding lanes hold zeros
//   panel       a block of columns of a packed matrix, as wide as one register tile
#pragma once

#include <cstddef>
#include <cstdint>

namespace skrnn {

using index_t = std::ptrdiff_t;

inline constexpr int max_slots = 4;
inline constexpr int max_stages = 2;

/// Vectors in one row of a register tile: every packed panel is at most this many vectors wide.
inline constexpr int tile_vectors = 4;

/// Packed steps that a weight gradient accumulates before it moves to the next block of its operands.
inline constexpr index_t outer_block = 96;

/// Shards of so few rows compute x W + b beforehand, for so many steps at a time.
inline constexpr index_t few_rows = 2;
inline constexpr index_t projection_steps = 24;

/// What `phi` (and, for `linear`, the gates) of a cell is; chosen per call, the same for every cell.
enum class Activation : int { tanh, relu, linear };

/// Slots [begin, end).
struct Range {
    int begin, end;
};

/// One matrix product of a time step followed by one element-wise epilogue. Most cells have one stage; a cell whose
/// recurrent product needs other gates first (GRU with the reset before the product) has two. The first stage
/// multiplies h(t-1); the second multiplies the operand that the first one's epilogue returned.
struct Stage {
    Range slots;  // slots this stage produces
    Range x;      // those of them that take part in the product with x
    Range h;      // those of them that take part in the recurrent product
};

/// A cell as data: what its header in cpp/kernels declares beside its two functions.
struct CellData {
    const char* name;
    const char* gate_names;  // separated by spaces, in the order of the rows of weight_ih
    int n_gates;
    int n_states;     // 1: h; 2: h and c
    int n_slots;      // gates, plus pre-activations that must be kept apart (GRU, reset after)
    int forget_gate;  // its bias starts at 1; -1 if none
    int keep_gate;    // (of gates, as they are named:) near 1 it keeps the state as it is; -1 if none
    int write_gate;   // near 1 it writes a new one; -1 if none
    int n_stages;
    Stage stages[max_stages];
    int x_gate[max_slots];  // gate whose input weights feed a slot
    int h_gate[max_slots];  // gate whose recurrent weights feed a slot
};

/// The time structure of one call. state_at and gate_at are offsets in rows: a recording call keeps every step apart,
/// inference lets two state buffers alternate; the kernels need not know which.
/// A call may be made piece by piece: then these are the tables of the piece's steps, `first` still counts from the
/// beginning, and so do the tables of row pointers.
struct Steps {
    index_t rows;
    index_t steps;            // of the longest row
    const index_t* active;    // [steps] rows that reach step t: rows 0 .. active[t] - 1
    const index_t* first;     // [steps] number of packed steps before step t
    const index_t* state_at;  // [steps + 1] where the states before step t are (after it: state_at[t + 1])
    const index_t* gate_at;   // [steps] where the slots and operands of step t are
    index_t begin;            // steps of the call before the first of these
};

/// What one thread does of a call: all hidden units of some rows, or some hidden units of all rows. Threads that share
/// the units of a step have to meet after it, because the next one reads what all of them wrote.
struct Share {
    index_t row_begin, row_end;
    int part = 0, parts = 1;                           // of the panels of hidden units
    void (*meet)(void* meeting, int parts) = nullptr;  // returns when all parts have called it; null for one part
    void* meeting = nullptr;
};

template <class T>
struct ForwardArgs {
    Steps steps;
    Activation activation;
    index_t input_size, hidden_size, padded_size;
    const T* weights;        // packed by core/recurrent.cpp: pack_forward
    const T* const* x_rows;  // [packed steps] -> (input_size)
    T* const* y_rows;        // [packed steps] -> (hidden_size), written; null: not wanted
    T* states;               // [n_states][state_rows][padded]; before step 0 read, after each step written
    index_t state_rows;
    T* gates;         // [..][n_slots][padded] activated slots, written; null: not kept (one-stage cells)
    bool writes_far;  // whether what is written is in no cache: then a few stores at a time are best
    T* operands;      // [..][padded] operand of the second stage, written; null for one-stage cells
    T* projections;   // room: [rows][projection_steps][n_slots][padded]; null where not worth it
};

template <class T>
struct BackwardArgs {
    Steps steps;
    Activation activation;
    index_t hidden_size, padded_size;
    const T* weights;         // packed by core/recurrent.cpp: pack_backward
    const T* const* dy_rows;  // [packed steps] -> (hidden_size); null: zero
    const T* states;          // as ForwardArgs, read
    index_t state_rows;
    T* gates;     // read as activations, overwritten by the gradients of the pre-activations
    T* d_states;  // [n_states][rows][padded] in: of the final states; out: of the initial states
};

/// What the regularised time loop (kernels/regularized.h) is given besides: the memory of its three techniques, null
/// where one is off. [..] stands for rows of the steps that are kept, as in `gates`.
template <class T>
struct Regularization {
    // Layer normalisation. Two parts of every pre-activation are normalised: the sums of x W, and those of h U.
    const T* norm;      // [3][n_slots][padded] gains of either part, and biases
    T* parts[2];        // [..][n_slots][padded] normalised sums; backward leaves the gradients of the sums
    T* inverse_scales;  // [..][n_stages][2] one over the deviation of the sums
    T* d_norm;          // [rows][3][n_slots][padded] gradients of `norm`, added to by each row for itself
    // Recurrent dropout.
    const T* mask;  // [rows][padded] of the states where they enter a recurrent product
    T* masked;      // [..][padded] h(t-1) times the mask
    // Zoneout.
    T zoneout;                       // probability that a state keeps its value; 0: off
    const std::uint64_t* row_keys;   // [rows] of the random words; null: the expectation, nothing is drawn
    std::uint32_t first_step;        // the number of the first step
    std::int32_t zoneout_threshold;  // a state keeps its value where the upper 31 bits of its word are below
    T* unzoned;                      // [n_states][unzoned_rows][padded] the states as the cell computed them
    index_t unzoned_rows;
};

/// out[s] = bias + sum over operands and depth of a[s][offset + k] * panel[k]: rows independent of one another.
template <class T>
struct GemmArgs {
    const T* const* a_rows;
    index_t n_operands;
    const index_t* offsets;  // [n_operands] added to each row pointer
    index_t depth;           // of every operand
    const T* panels;         // per panel: bias, then n_operands * depth rows
    index_t columns;
    T* const* out_rows;
    bool add;  // out += instead of out =
};

/// Columns [b_offset, b_offset + columns) of b. What is null is not wanted, and without out[i] not computed.
template <class T>
struct OuterBlock {
    index_t b_offset;
    T* out[2];       // per operand: [columns][features]
    T* bias_out[2];  // [columns], the same numbers twice
};

/// out[i][column][feature] = sum over steps of b[step][column] * rows[i][step][feature], and
/// bias_out[column] = sum over steps of b[step][column]: one chain per element, from the last step to the first.
template <class T>
struct OuterArgs {
    index_t steps;
    bool begins, ends;        // whether the chains begin here, or go on from `sums`; end here, or pause there
    const T* const* rows[2];  // per operand: [steps] -> (features); null without features
    index_t features[2];
    const T* b;
    index_t b_stride;
    index_t columns;  // of each block
    index_t n_blocks;
    const OuterBlock<T>* blocks;
    T* sums;  // room for the chains: core/pack.h
};

/// A loss of each element; a row's is the sum over its columns, times its weight.
template <class T>
struct LossArgs {
    const T* prediction;  // [rows][columns], as target and d_prediction
    const T* target;
    const T* weight;  // [rows]; null: 1
    T* d_prediction;  // written; null: not wanted
    index_t rows, columns;
    double delta = 0;              // huber: where the parabola ends
    const T* quantiles = nullptr;  // quantile: [columns] levels
};

/// One optimiser step on flat vectors. `scale` is what clipping leaves of the gradient.
template <class T>
struct SolverArgs {
    index_t size, decay_size;
    T* params;
    const T* grads;
    T* slot[2];
    double scale, learning_rate, decay;
    double momentum, beta_1, beta_2, epsilon;
    double correction_1, correction_2;  // 1 - beta^step
    bool nesterov;
    double mu = 0, mu_next = 0, mu_product = 0;  // nadam: momentum of this step and of the next; product of all so far
};

/// Pooling over the steps of each row, which has steps first[n] .. first[n + 1] - 1 of all that really exist. A row
/// without steps gives zeros; what lies beyond a row's steps is not read, and written as zeros.
template <class T>
struct PoolingArgs {
    const index_t* first;  // [rows + 1]
    index_t steps, features;
    const T* x;          // [rows][steps][features]
    T* out;              // [rows][features], written
    const T* d_out;      // [rows][features], backward
    T* d_x;              // [rows][steps][features], written backward
    std::int64_t* best;  // max: [rows][features], the step that each feature comes from, -1 for none
    // attention; `attention` and `d_attention` leave the products with `weight` to gemm and outer
    index_t units;
    const T* query;  // [units]
    T* hidden;       // [packed steps][units] weight x + bias, overwritten by its tanh, backward by its gradient
    T* alpha;        // [rows][steps], written; backward read
    T* d_scores;     // [packed steps], written backward
};

template <class T>
struct CellKernels {
    void (*forward)(const ForwardArgs<T>&, const Share&);
    void (*backward)(const BackwardArgs<T>&, const Share&);
    // with a share of rows, not of units
    void (*forward_regularized)(const ForwardArgs<T>&, const Regularization<T>&, const Share&);
    void (*backward_regularized)(const BackwardArgs<T>&, const Regularization<T>&, const Share&);
};

struct Cell {
    const CellData* data;
    CellKernels<float> f32;
    CellKernels<double> f64;
};

template <class T>
struct Functions {
    void (*gemm)(const GemmArgs<T>&, index_t row_begin, index_t row_end);
    void (*outer)(const OuterArgs<T>&, int thread, int size, T* scratch);  // the share of a thread
    void (*transpose)(const T* from, index_t from_stride, T* to, index_t to_stride, index_t rows, index_t columns);
    void (*exp)(const T* x, T* out, index_t n);
    void (*sigmoid)(const T* x, T* out, index_t n);
    void (*tanh)(const T* x, T* out, index_t n);
    void (*softmax)(const T* logits, T* out, index_t rows, index_t columns);
    // rows of d_logits are d_stride apart; with 0 they overwrite one another, for callers who want the loss alone
    double (*cross_entropy)(const T* logits, const std::int64_t* target, const T* weight, T* d_logits, index_t d_stride,
                            index_t rows, index_t columns);
    double (*squared_error)(const LossArgs<T>&);
    double (*absolute_error)(const LossArgs<T>&);
    double (*huber)(const LossArgs<T>&);
    double (*quantile)(const LossArgs<T>&);
    double (*poisson)(const LossArgs<T>&);
    double (*binary_cross_entropy)(const LossArgs<T>&);
    double (*sum_of_squares)(const T* x, index_t n);
    void (*sgd)(const SolverArgs<T>&);
    void (*adam)(const SolverArgs<T>&);   // decay: L2 in the gradient
    void (*adamw)(const SolverArgs<T>&);  // decay: decoupled
    void (*nadam)(const SolverArgs<T>&);
    void (*rmsprop)(const SolverArgs<T>&);
    void (*adagrad)(const SolverArgs<T>&);
    // see PoolingArgs; rows [row_begin, row_end), or packed steps
    void (*mean_pooling)(const PoolingArgs<T>&, index_t row_begin, index_t row_end);
    void (*d_mean_pooling)(const PoolingArgs<T>&, index_t row_begin, index_t row_end);
    void (*max_pooling)(const PoolingArgs<T>&, index_t row_begin, index_t row_end);
    void (*d_max_pooling)(const PoolingArgs<T>&, index_t row_begin, index_t row_end);
    void (*attention)(const PoolingArgs<T>&, index_t row_begin, index_t row_end);
    void (*d_attention)(const PoolingArgs<T>&, index_t row_begin, index_t row_end);
    void (*d_attention_units)(const PoolingArgs<T>&, index_t step_begin, index_t step_end);
    void (*add)(const T* x, T* to, index_t n);         // to += x
    void (*multiply_add)(index_t iterations, T* out);  // the machine's peak, for the benches; fma_per_iteration each
};

struct KernelTable {
    const char* isa;
    int vector_bytes;
    int row_tile;           // rows of the largest register tile
    int fma_per_iteration;  // vector multiply-adds in one iteration of multiply_add
    int n_cells;
    const Cell* cells;
    Functions<float> f32;
    Functions<double> f64;
    // two words for each of the counters (0, counter) to (n - 1, counter)
    void (*random_words)(std::uint64_t key, std::uint32_t counter, index_t n, std::uint32_t* first,
                         std::uint32_t* second);
};

}  // namespace skrnn
