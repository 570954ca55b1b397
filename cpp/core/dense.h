// A dense layer on the library's own product, so that its rows keep the promise of being independent bit for bit.
#pragma once

#include "kernel_table.h"

namespace skrnn {

/// out (N, O) = x (N, I) weight (O, I)^T + bias (O); bias may be null.
template <class T>
void dense_forward(const T* x, const T* weight, const T* bias, T* out, index_t rows, index_t input_size,
                   index_t output_size);

/// d_x and d_bias may be null.
template <class T>
void dense_backward(const T* x, const T* weight, const T* d_out, T* d_x, T* d_weight, T* d_bias, index_t rows,
                    index_t input_size, index_t output_size);

}  // namespace skrnn
