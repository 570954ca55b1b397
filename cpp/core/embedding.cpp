#include "embedding.h"

#include <algorithm>

#include "dispatch.h"

namespace skrnn {

template <class T>
void embedding_forward(const Tokens& tokens, const T* weight, T* out, index_t size) {
    for (index_t n = 0; n < tokens.rows; ++n) {
        const index_t begin = n * tokens.steps, end = begin + tokens.length(n);
        for (index_t s = begin; s < end; ++s) std::copy_n(weight + tokens.values[s] * size, size, out + s * size);
        std::fill(out + end * size, out + (begin + tokens.steps) * size, T(0));
    }
}

template <class T>
void embedding_backward(const Tokens& tokens, const T* d_out, index_t padding, T* d_weight, index_t vocabulary,
                        index_t size) {
    const Functions<T>& f = functions<T>(kernels());
    std::fill_n(d_weight, vocabulary * size, T(0));
    for (index_t n = 0; n < tokens.rows; ++n) {
        const index_t begin = n * tokens.steps, end = begin + tokens.length(n);
        for (index_t s = begin; s < end; ++s)
            if (tokens.values[s] != padding) f.add(d_out + s * size, d_weight + tokens.values[s] * size, size);
    }
}

template void embedding_forward<float>(const Tokens&, const float*, float*, index_t);
template void embedding_forward<double>(const Tokens&, const double*, double*, index_t);
template void embedding_backward<float>(const Tokens&, const float*, index_t, float*, index_t, index_t);
template void embedding_backward<double>(const Tokens&, const double*, index_t, double*, index_t, index_t);

}  // namespace skrnn
