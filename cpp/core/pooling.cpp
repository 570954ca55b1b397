#include "pooling.h"

#include <algorithm>
#include <vector>

#include "dense.h"
#include "dispatch.h"
#include "pack.h"
#include "parallel.h"

namespace skrnn {
namespace {

/// The number of steps that really exist before each row, and at the end of all.
std::vector<index_t> first_steps(const PoolingShape& shape) {
    std::vector<index_t> first(static_cast<std::size_t>(shape.rows) + 1);
    for (index_t n = 0; n < shape.rows; ++n)
        first[static_cast<std::size_t>(n) + 1] =
            first[static_cast<std::size_t>(n)] + (shape.lengths == nullptr ? shape.steps : shape.lengths[n]);
    return first;
}

/// Where each packed step of data (N, T, size) lies.
template <class T>
std::vector<T*> step_rows(const PoolingShape& shape, const std::vector<index_t>& first, T* data, index_t size) {
    std::vector<T*> table;
    table.reserve(static_cast<std::size_t>(first.back()));
    for (index_t n = 0; n < shape.rows; ++n) {
        const index_t steps = first[static_cast<std::size_t>(n) + 1] - first[static_cast<std::size_t>(n)];
        for (index_t t = 0; t < steps; ++t) table.push_back(data + (n * shape.steps + t) * size);
    }
    return table;
}

template <class T>
PoolingArgs<T> pooling_args(const PoolingShape& shape, const std::vector<index_t>& first) {
    PoolingArgs<T> args{};
    args.first = first.data();
    args.steps = shape.steps;
    args.features = shape.features;
    return args;
}

template <class T>
PoolingArgs<T> pooling_args(const PoolingShape& shape, const std::vector<index_t>& first,
                            const Attention<T>& attention) {
    PoolingArgs<T> args = pooling_args<T>(shape, first);
    args.units = attention.units;
    args.query = attention.query;
    args.hidden = attention.hidden;
    args.alpha = attention.alpha;
    return args;
}

template <class T>
void run_rows(const PoolingShape& shape, void (*kernel)(const PoolingArgs<T>&, index_t, index_t),
              const PoolingArgs<T>& args) {
    const auto work = static_cast<double>(shape.rows * shape.steps) * static_cast<double>(shape.features);
    parallel(threads_for(work), [&](Team team) { kernel(args, team.begin(shape.rows), team.end(shape.rows)); });
}

}  // namespace

template <class T>
void mean_pooling_forward(const PoolingShape& shape, const T* x, T* out) {
    const std::vector<index_t> first = first_steps(shape);
    PoolingArgs<T> args = pooling_args<T>(shape, first);
    args.x = x;
    args.out = out;
    run_rows(shape, functions<T>(kernels()).mean_pooling, args);
}

template <class T>
void mean_pooling_backward(const PoolingShape& shape, const T* d_out, T* d_x) {
    const std::vector<index_t> first = first_steps(shape);
    PoolingArgs<T> args = pooling_args<T>(shape, first);
    args.d_out = d_out;
    args.d_x = d_x;
    run_rows(shape, functions<T>(kernels()).d_mean_pooling, args);
}

template <class T>
void max_pooling_forward(const PoolingShape& shape, const T* x, T* out, std::int64_t* best) {
    const std::vector<index_t> first = first_steps(shape);
    PoolingArgs<T> args = pooling_args<T>(shape, first);
    args.x = x;
    args.out = out;
    args.best = best;
    run_rows(shape, functions<T>(kernels()).max_pooling, args);
}

template <class T>
void max_pooling_backward(const PoolingShape& shape, const T* d_out, const std::int64_t* best, T* d_x) {
    const std::vector<index_t> first = first_steps(shape);
    PoolingArgs<T> args = pooling_args<T>(shape, first);
    args.d_out = d_out;
    args.d_x = d_x;
    args.best = const_cast<std::int64_t*>(best);  // backward only reads it
    run_rows(shape, functions<T>(kernels()).d_max_pooling, args);
}

template <class T>
void attention_pooling_forward(const PoolingShape& shape, const Attention<T>& attention, const T* x, T* out) {
    const index_t F = shape.features, A = attention.units;
    const std::vector<index_t> first = first_steps(shape);
    const index_t packed_steps = first.back();
    PoolingArgs<T> args = pooling_args(shape, first, attention);
    args.x = x;
    args.out = out;

    const std::vector<const T*> x_rows = step_rows(shape, first, x, F);
    std::vector<T*> hidden_rows;
    hidden_rows.reserve(x_rows.size());
    for (index_t s = 0; s < packed_steps; ++s) hidden_rows.push_back(attention.hidden + s * A);
    const Buffer<T> panels = dense_panels(attention.weight, attention.bias, F, A);
    const index_t offset = 0;
    const GemmArgs<T> product{x_rows.data(), 1, &offset, F, panels.data(), A, hidden_rows.data(), false};

    const Functions<T>& f = functions<T>(kernels());
    const double work = static_cast<double>(packed_steps) * static_cast<double>(F) * static_cast<double>(A);
    parallel(threads_for(work), [&](Team team) {
        f.gemm(product, team.begin(packed_steps), team.end(packed_steps));
        team.barrier();
        f.attention(args, team.begin(shape.rows), team.end(shape.rows));
    });
}

template <class T>
void attention_pooling_backward(const PoolingShape& shape, const Attention<T>& attention, const T* x, const T* d_out,
                                T* d_x, T* d_weight, T* d_bias, T* d_query) {
    const KernelTable& table = kernels();
    const index_t width = table.vector_bytes / static_cast<index_t>(sizeof(T));
    const index_t F = shape.features, A = attention.units;
    const std::vector<index_t> first = first_steps(shape);
    const index_t packed_steps = first.back();
    const Buffer<T> d_scores(static_cast<std::size_t>(packed_steps));
    PoolingArgs<T> args = pooling_args(shape, first, attention);
    args.x = x;
    args.d_out = d_out;
    args.d_x = d_x;
    args.d_scores = d_scores.data();

    const std::vector<const T*> x_rows = step_rows(shape, first, x, F);
    const std::vector<T*> d_x_rows = step_rows(shape, first, d_x, F);
    std::vector<const T*> hidden_rows;
    hidden_rows.reserve(x_rows.size());
    for (index_t s = 0; s < packed_steps; ++s) hidden_rows.push_back(attention.hidden + s * A);

    // d_query = sum of d_score * tanh(..), before these are overwritten by their gradients
    const OuterBlock<T> query_block{0, {d_query, nullptr}, {nullptr, nullptr}};
    OuterArgs<T> query_gradient{
        packed_steps, true,   true, {hidden_rows.data(), nullptr}, {A, 0}, d_scores.data(), 1, 1, 1,
        &query_block, nullptr};
    const OuterBlock<T> weight_block{0, {d_weight, nullptr}, {d_bias, nullptr}};
    OuterArgs<T> weight_gradient{
        packed_steps, true, true, {x_rows.data(), nullptr}, {F, 0}, attention.hidden, A, A, 1, &weight_block, nullptr};
    const Buffer<T> query_sums(outer_sums(query_gradient, width)), weight_sums(outer_sums(weight_gradient, width));
    query_gradient.sums = query_sums.data();
    weight_gradient.sums = weight_sums.data();

    const Buffer<T> panels = dense_gradient_panels(attention.weight, F, A);
    const index_t offset = 0;
    const GemmArgs<T> input_gradient{hidden_rows.data(), 1, &offset, A, panels.data(), F, d_x_rows.data(), true};

    const Functions<T>& f = functions<T>(table);
    const double work = 2 * static_cast<double>(packed_steps) * static_cast<double>(F) * static_cast<double>(A);
    const int n_threads = threads_for(work);
    const std::size_t scratch_size =
        std::max(outer_scratch(query_gradient, width), outer_scratch(weight_gradient, width));
    const Buffer<T> scratch(scratch_size * static_cast<std::size_t>(n_threads));
    parallel(n_threads, [&](Team team) {
        T* const own = scratch.data() + static_cast<std::size_t>(team.thread) * scratch_size;
        f.d_attention(args, team.begin(shape.rows), team.end(shape.rows));
        team.barrier();
        f.outer(query_gradient, team.thread, team.size, own);
        team.barrier();
        f.d_attention_units(args, team.begin(packed_steps), team.end(packed_steps));
        team.barrier();
        f.gemm(input_gradient, team.begin(packed_steps), team.end(packed_steps));
        f.outer(weight_gradient, team.thread, team.size, own);
    });
}

#define SKRNN_POOLING(T)                                                                                              \
    template void mean_pooling_forward<T>(const PoolingShape&, const T*, T*);                                         \
    template void mean_pooling_backward<T>(const PoolingShape&, const T*, T*);                                        \
    template void max_pooling_forward<T>(const PoolingShape&, const T*, T*, std::int64_t*);                           \
    template void max_pooling_backward<T>(const PoolingShape&, const T*, const std::int64_t*, T*);                    \
    template void attention_pooling_forward<T>(const PoolingShape&, const Attention<T>&, const T*, T*);               \
    template void attention_pooling_backward<T>(const PoolingShape&, const Attention<T>&, const T*, const T*, T*, T*, \
                                                T*, T*);
SKRNN_POOLING(float)
SKRNN_POOLING(double)

}  // namespace skrnn
