// Embedding: a row of a matrix for every token.
#pragma once

#include "kernel_table.h"

namespace skrnn {

struct Tokens {
    index_t rows, steps;
    const std::int64_t* values;   // (N, T), of the vocabulary wherever a row has a step
    const std::int64_t* lengths;  // null: all steps

    index_t length(index_t row) const { return lengths == nullptr ? steps : lengths[row]; }
};

/// out (N, T, E) = the row of weight (V, E) of each token, zeros beyond a row's length.
template <class T>
void embedding_forward(const Tokens& tokens, const T* weight, T* out, index_t size);

/// d_weight (V, E) is overwritten: each row is the sum of d_out (N, T, E) over its tokens in the order of rows and
/// steps. That of `padding` stays zero; -1 for none.
template <class T>
void embedding_backward(const Tokens& tokens, const T* d_out, index_t padding, T* d_weight, index_t vocabulary,
                        index_t size);

}  // namespace skrnn
