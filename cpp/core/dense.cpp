#include "dense.h"

#include <algorithm>
#include <vector>

#include "dispatch.h"
#include "pack.h"
#include "parallel.h"

namespace skrnn {
namespace {

template <class T>
std::vector<T*> rows_of(T* data, index_t rows, index_t row_size) {
    std::vector<T*> table(static_cast<std::size_t>(rows));
    for (index_t n = 0; n < rows; ++n) table[static_cast<std::size_t>(n)] = data + n * row_size;
    return table;
}

double work_of(index_t rows, index_t input_size, index_t output_size) {
    return static_cast<double>(rows) * static_cast<double>(input_size) * static_cast<double>(output_size);
}

}  // namespace

template <class T>
Buffer<T> dense_panels(const T* weight, const T* bias, index_t input_size, index_t output_size) {
    const KernelTable& table = kernels();
    const index_t width = table.vector_bytes / static_cast<index_t>(sizeof(T)), tile = tile_vectors * width;
    const index_t padded = round_up(output_size, width);
    Buffer<T> packed(checked_product(static_cast<std::size_t>(padded), static_cast<std::size_t>(1 + input_size)));
    T* panel = packed.data();
    for (index_t column = 0; column < padded; column += tile) {
        const index_t line = std::min(tile, padded - column), real = std::min(line, output_size - column);
        std::fill_n(panel, (1 + input_size) * line, T(0));
        if (bias != nullptr) std::copy_n(bias + column, real, panel);
        functions<T>(table).transpose(weight + column * input_size, input_size, panel + line, line, real, input_size);
        panel += (1 + input_size) * line;
    }
    return packed;
}

template <class T>
Buffer<T> dense_gradient_panels(const T* weight, index_t input_size, index_t output_size) {
    const index_t width = kernels().vector_bytes / static_cast<index_t>(sizeof(T)), tile = tile_vectors * width;
    const index_t padded = round_up(input_size, width);
    Buffer<T> packed(checked_product(static_cast<std::size_t>(padded), static_cast<std::size_t>(1 + output_size)));
    T* panel = packed.data();
    for (index_t column = 0; column < padded; column += tile) {
        const index_t line = std::min(tile, padded - column);
        panel = std::fill_n(panel, line, T(0));
        panel = pack_columns(panel, line, output_size, weight, input_size, column);
    }
    return packed;
}

template <class T>
void dense_forward(const T* x, const T* weight, const T* bias, T* out, index_t rows, index_t input_size,
                   index_t output_size) {
    const Buffer<T> packed = dense_panels(weight, bias, input_size, output_size);
    const std::vector<const T*> x_rows = rows_of(x, rows, input_size);
    const std::vector<T*> out_rows = rows_of(out, rows, output_size);
    const index_t offset = 0;
    const GemmArgs<T> args{x_rows.data(), 1, &offset, input_size, packed.data(), output_size, out_rows.data(), false};
    const Functions<T>& f = functions<T>(kernels());
    parallel(threads_for(work_of(rows, input_size, output_size)),
             [&](Team team) { f.gemm(args, team.begin(rows), team.end(rows)); });
}

template <class T>
void dense_backward(const T* x, const T* weight, const T* d_out, T* d_x, T* d_weight, T* d_bias, index_t rows,
                    index_t input_size, index_t output_size) {
    const KernelTable& table = kernels();
    const index_t width = table.vector_bytes / static_cast<index_t>(sizeof(T));

    Buffer<T> packed;
    std::vector<const T*> d_out_rows;
    std::vector<T*> d_x_rows;
    if (d_x != nullptr) {
        packed = dense_gradient_panels(weight, input_size, output_size);
        d_out_rows = rows_of(d_out, rows, output_size);
        d_x_rows = rows_of(d_x, rows, input_size);
    }
    const index_t offset = 0;
    const GemmArgs<T> input_gradient{d_out_rows.data(), 1,          &offset,         output_size,
                                     packed.data(),     input_size, d_x_rows.data(), false};

    const std::vector<const T*> x_rows = rows_of(x, rows, input_size);
    const OuterBlock<T> block{0, {d_weight, nullptr}, {d_bias, nullptr}};
    OuterArgs<T> weight_gradient{
        rows, true,   true,   {x_rows.data(), nullptr}, {input_size, 0}, d_out, output_size, output_size,
        1,    &block, nullptr};
    const Buffer<T> sums(outer_sums(weight_gradient, width));
    weight_gradient.sums = sums.data();

    const int n_threads = threads_for(2 * work_of(rows, input_size, output_size));
    const std::size_t scratch_size = outer_scratch(weight_gradient, width);
    const Buffer<T> scratch(scratch_size * static_cast<std::size_t>(n_threads));
    parallel(n_threads, [&](Team team) {
        if (d_x != nullptr) functions<T>(table).gemm(input_gradient, team.begin(rows), team.end(rows));
        functions<T>(table).outer(weight_gradient, team.thread, team.size,
                                  scratch.data() + static_cast<std::size_t>(team.thread) * scratch_size);
    });
}

template Buffer<float> dense_panels<float>(const float*, const float*, index_t, index_t);
template Buffer<double> dense_panels<double>(const double*, const double*, index_t, index_t);
template Buffer<float> dense_gradient_panels<float>(const float*, index_t, index_t);
template Buffer<double> dense_gradient_panels<double>(const double*, index_t, index_t);
template void dense_forward<float>(const float*, const float*, const float*, float*, index_t, index_t, index_t);
template void dense_forward<double>(const double*, const double*, const double*, double*, index_t, index_t, index_t);
template void dense_backward<float>(const float*, const float*, const float*, float*, float*, float*, index_t, index_t,
                                    index_t);
template void dense_backward<double>(const double*, const double*, const double*, double*, double*, double*, index_t,
                                     index_t, index_t);

}  // namespace skrnn
