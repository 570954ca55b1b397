// Pooling of the steps of each row: mean, maximum, attention; forward and backward.
#pragma once

#include "kernel_table.h"

namespace skrnn {

/// x (N, T, F) and what becomes of its rows. Beyond a row's length nothing is read, and zeros are written.
struct PoolingShape {
    index_t rows, steps, features;
    const std::int64_t* lengths;  // null: all steps
};

template <class T>
void mean_pooling_forward(const PoolingShape& shape, const T* x, T* out);
template <class T>
void mean_pooling_backward(const PoolingShape& shape, const T* d_out, T* d_x);

/// best (N, F): the step that each feature of out (N, F) comes from, -1 in rows without steps.
template <class T>
void max_pooling_forward(const PoolingShape& shape, const T* x, T* out, std::int64_t* best);
/// best must hold steps of their rows.
template <class T>
void max_pooling_backward(const PoolingShape& shape, const T* d_out, const std::int64_t* best, T* d_x);

/// out = sum of alpha[t] x[t], alpha = softmax of query . tanh(weight x[t] + bias).
template <class T>
struct Attention {
    index_t units;
    const T* weight;  // (A, F)
    const T* bias;    // (A)
    const T* query;   // (A)
    T* hidden;        // room for N * T * A: forward writes the tanh, backward wants it and overwrites it
    T* alpha;         // (N, T): forward writes it, backward wants it
};

template <class T>
void attention_pooling_forward(const PoolingShape& shape, const Attention<T>& attention, const T* x, T* out);
/// The gradients are overwritten.
template <class T>
void attention_pooling_backward(const PoolingShape& shape, const Attention<T>& attention, const T* x, const T* d_out,
                                T* d_x, T* d_weight, T* d_bias, T* d_query);

}  // namespace skrnn
