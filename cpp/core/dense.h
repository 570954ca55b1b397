// A dense layer on the library's own product, so that its rows keep the promise of being independent bit for bit.
#pragma once

#include "buffer.h"
#include "kernel_table.h"

namespace skrnn {

/// A dense layer as GemmArgs::panels: weight (O, I), bias (O) or null. And that of its input gradient, d_x = d_out
/// weight.
template <class T>
Buffer<T> dense_panels(const T* weight, const T* bias, index_t input_size, index_t output_size);
template <class T>
Buffer<T> dense_gradient_panels(const T* weight, index_t input_size, index_t output_size);

/// out (N, O) = x (N, I) weight (O, I)^T + bias (O); bias may be null.
template <class T>
void dense_forward(const T* x, const T* weight, const T* bias, T* out, index_t rows, index_t input_size,
                   index_t output_size);

/// d_x and d_bias may be null.
template <class T>
void dense_backward(const T* x, const T* weight, const T* d_out, T* d_x, T* d_weight, T* d_bias, index_t rows,
                    index_t input_size, index_t output_size);

}  // namespace skrnn
