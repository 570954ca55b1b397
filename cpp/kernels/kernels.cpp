// Everything in this folder, compiled once per instruction set with -DKERNEL_ISA=<name>. The only symbol that leaves
// the object is table().
#include "cell_gru.h"
#include "cell_lstm.h"
#include "cell_mgu.h"
#include "cell_rnn.h"
#include "losses.h"
#include "outer.h"
#include "pooling.h"
#include "random.h"
#include "regularized.h"
#include "sequence.h"
#include "solvers.h"
#include "transpose.h"

#define SKRNN_TEXT_OF(x) #x
#define SKRNN_TEXT(x) SKRNN_TEXT_OF(x)

namespace skrnn {
namespace {

template <class C, class T>
constexpr CellKernels<T> cell_kernels() {
    return {forward<C, T>, backward<C, T>, forward_regularized<C, T>, backward_regularized<C, T>};
}

template <class C>
constexpr Cell cell() {
    return {&C::data, cell_kernels<C, float>(), cell_kernels<C, double>()};
}

// One line per cell.
constexpr Cell cells[] = {
    cell<Rnn>(), cell<Lstm>(), cell<Gru>(), cell<GruResetBefore>(), cell<Mgu>(),
};

constexpr int fma_chains = 16;

/// Independent chains of multiply-adds that never leave the registers.
template <class T>
void multiply_add(index_t iterations, T* out) {
    vec<T> sum[fma_chains];
    for (int i = 0; i < fma_chains; ++i) sum[i] = broadcast(static_cast<T>(i));
    const vec<T> a = load<T>(out), b = load<T>(out + width<T>);
    for (index_t n = 0; n < iterations; ++n)
#pragma GCC unroll 16
        for (int i = 0; i < fma_chains; ++i) sum[i] = fma(sum[i], a, b);
    for (int i = 1; i < fma_chains; ++i) sum[0] = sum[0] + sum[i];
    store<T>(out, sum[0]);
}

template <class T>
constexpr Functions<T> functions() {
    return {
        gemm<T>,
        outer<T>,
        transpose<T>,
        exp_array<T>,
        sigmoid_array<T>,
        tanh_array<T>,
        // losses.h
        softmax<T>,
        cross_entropy<T>,
        squared_error<T>,
        absolute_error<T>,
        huber<T>,
        quantile<T>,
        poisson<T>,
        binary_cross_entropy<T>,
        // solvers.h
        sum_of_squares<T>,
        sgd<T>,
        adam<T>,
        adamw<T>,
        nadam<T>,
        rmsprop<T>,
        adagrad<T>,
        // pooling.h
        mean_pooling<T>,
        d_mean_pooling<T>,
        max_pooling<T>,
        d_max_pooling<T>,
        attention<T>,
        d_attention<T>,
        d_attention_units<T>,
        add<T>,
        multiply_add<T>,
    };
}

constexpr KernelTable kernel_table = {
    SKRNN_TEXT(KERNEL_ISA), vector_bytes,        row_tile,    fma_chains, sizeof cells / sizeof cells[0], cells,
    functions<float>(),     functions<double>(), random_words};

}  // namespace

namespace KERNEL_ISA {
extern const KernelTable& table() noexcept;
const KernelTable& table() noexcept { return kernel_table; }
}  // namespace KERNEL_ISA

}  // namespace skrnn
