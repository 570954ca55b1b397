// Pooling over time: what the steps of a row come to. Every sum is one chain in the order of time, or has an order that
// depends on the number of features alone: so a row's bits depend on its own steps and on nothing else.
#pragma once

#include "losses.h"

namespace skrnn {
namespace {

/// f(n, steps of row n, where in [rows][steps] the row begins)
template <class T, class F>
SKRNN_INLINE void for_each_row(const PoolingArgs<T>& args, index_t row_begin, index_t row_end, F f) {
    for (index_t n = row_begin; n < row_end; ++n) f(n, args.first[n + 1] - args.first[n], n * args.steps);
}

template <class T>
SKRNN_INLINE void fill_zeros(T* begin, const T* end) {
    for (; begin < end; ++begin) *begin = T(0);
}

/// out = sum over steps of x[t] * weight[t], or of x[t] without weights.
template <class T>
SKRNN_INLINE void sum_over_steps(const T* x, const T* weight, index_t steps, index_t features, T* out) {
    for (index_t i = 0; i < features; i += width<T>) {
        const index_t left = features - i;
        vec<T> sum{};
        if (weight == nullptr)
            for (index_t t = 0; t < steps; ++t) sum = sum + load_up_to<T>(x + t * features + i, left);
        else
            for (index_t t = 0; t < steps; ++t)
                sum = fma(broadcast<T>(weight[t]), load_up_to<T>(x + t * features + i, left), sum);
        store_up_to<T>(out + i, sum, left);
    }
}

template <class T>
SKRNN_INLINE T dot(const T* a, const T* b, index_t n) {
    vec<T> sums{};
    for (index_t i = 0; i < n; i += width<T>)
        sums = fma(load_up_to<T>(a + i, n - i), load_up_to<T>(b + i, n - i), sums);
    T lanes[width<T>];
    store<T>(lanes, sums);
    for (index_t half = width<T> / 2; half > 0; half /= 2)
        for (index_t k = 0; k < half; ++k) lanes[k] += lanes[k + half];
    return lanes[0];
}

template <class T>
void add(const T* x, T* to, index_t n) {
    for (index_t i = 0; i < n; ++i) to[i] += x[i];
}

template <class T>
void mean_pooling(const PoolingArgs<T>& args, index_t row_begin, index_t row_end) {
    const index_t F = args.features;
    for_each_row(args, row_begin, row_end, [&](index_t n, index_t steps, index_t at) SKRNN_INLINE_LAMBDA {
        T* const out = args.out + n * F;
        sum_over_steps<T>(args.x + at * F, nullptr, steps, F, out);
        if (steps > 0)
            for (index_t i = 0; i < F; ++i) out[i] /= static_cast<T>(steps);
    });
}

template <class T>
void d_mean_pooling(const PoolingArgs<T>& args, index_t row_begin, index_t row_end) {
    const index_t F = args.features;
    for_each_row(args, row_begin, row_end, [&](index_t n, index_t steps, index_t at) SKRNN_INLINE_LAMBDA {
        const T* const d_out = args.d_out + n * F;
        T* const d_x = args.d_x + at * F;
        for (index_t t = 0; t < steps; ++t)
            for (index_t i = 0; i < F; ++i) d_x[t * F + i] = d_out[i] / static_cast<T>(steps);
        fill_zeros(d_x + steps * F, d_x + args.steps * F);
    });
}

/// The first of equal maxima wins; a NaN counts as the largest number.
template <class T>
void max_pooling(const PoolingArgs<T>& args, index_t row_begin, index_t row_end) {
    const index_t F = args.features;
    for_each_row(args, row_begin, row_end, [&](index_t n, index_t steps, index_t at) SKRNN_INLINE_LAMBDA {
        const T* const x = args.x + at * F;
        T* const out = args.out + n * F;
        std::int64_t* const best = args.best + n * F;
        for (index_t i = 0; i < F; ++i) {
            best[i] = steps > 0 ? 0 : -1;
            out[i] = steps > 0 ? x[i] : T(0);
        }
        for (index_t t = 1; t < steps; ++t)
            for (index_t i = 0; i < F; ++i) {
                const T value = x[t * F + i];
                const bool larger = value > out[i] || value != value;
                out[i] = larger ? value : out[i];
                best[i] = larger ? static_cast<std::int64_t>(t) : best[i];
            }
    });
}

template <class T>
void d_max_pooling(const PoolingArgs<T>& args, index_t row_begin, index_t row_end) {
    const index_t F = args.features;
    for_each_row(args, row_begin, row_end, [&](index_t n, index_t steps, index_t at) SKRNN_INLINE_LAMBDA {
        T* const d_x = args.d_x + at * F;
        fill_zeros(d_x, d_x + args.steps * F);
        if (steps > 0)
            for (index_t i = 0; i < F; ++i) d_x[args.best[n * F + i] * F + i] = args.d_out[n * F + i];
    });
}

/// Yang et al. 2016: alpha = softmax over the row's steps of query . tanh(hidden), out = sum of alpha[t] x[t].
template <class T>
void attention(const PoolingArgs<T>& args, index_t row_begin, index_t row_end) {
    const index_t F = args.features, A = args.units;
    for_each_row(args, row_begin, row_end, [&](index_t n, index_t steps, index_t at) SKRNN_INLINE_LAMBDA {
        T* const hidden = args.hidden + args.first[n] * A;
        T* const alpha = args.alpha + at;
        tanh_array<T>(hidden, hidden, steps * A);
        for (index_t t = 0; t < steps; ++t) alpha[t] = dot<T>(hidden + t * A, args.query, A);
        T largest;
        if (steps > 0) softmax_row<T>(alpha, alpha, steps, largest);
        fill_zeros(alpha + steps, alpha + args.steps);
        sum_over_steps<T>(args.x + at * F, alpha, steps, F, args.out + n * F);
    });
}

/// The gradient of the scores, and what reaches d_x through the weighted sum alone.
template <class T>
void d_attention(const PoolingArgs<T>& args, index_t row_begin, index_t row_end) {
    const index_t F = args.features;
    for_each_row(args, row_begin, row_end, [&](index_t n, index_t steps, index_t at) SKRNN_INLINE_LAMBDA {
        const T* const d_out = args.d_out + n * F;
        const T* const alpha = args.alpha + at;
        T* const d_x = args.d_x + at * F;
        T* const d_scores = args.d_scores + args.first[n];
        T mean = 0;  // of the gradients of alpha, by alpha
        for (index_t t = 0; t < steps; ++t) {
            d_scores[t] = dot<T>(d_out, args.x + (at + t) * F, F);
            mean += alpha[t] * d_scores[t];
            for (index_t i = 0; i < F; ++i) d_x[t * F + i] = alpha[t] * d_out[i];
        }
        for (index_t t = 0; t < steps; ++t) d_scores[t] = alpha[t] * (d_scores[t] - mean);
        fill_zeros(d_x + steps * F, d_x + args.steps * F);
    });
}

/// The gradient of `hidden` before its tanh, in its place.
template <class T>
void d_attention_units(const PoolingArgs<T>& args, index_t step_begin, index_t step_end) {
    const index_t A = args.units;
    for (index_t s = step_begin; s < step_end; ++s) {
        T* const hidden = args.hidden + s * A;
        for (index_t i = 0; i < A; ++i) hidden[i] = args.d_scores[s] * args.query[i] * (T(1) - hidden[i] * hidden[i]);
    }
}

}  // namespace
}  // namespace skrnn
