#include "peak.h"

#include <algorithm>
#include <chrono>

#include "buffer.h"
#include "dispatch.h"
#include "parallel.h"

namespace skrnn {

template <class T>
double fma_peak(int n_threads) {
    using clock = std::chrono::steady_clock;
    constexpr index_t iterations = 2'000'000, apart = 1024;  // threads' vectors on pages of their own
    const KernelTable& table = kernels();
    const double width = static_cast<double>(table.vector_bytes) / sizeof(T);
    Buffer<T> values(checked_product(static_cast<std::size_t>(n_threads), apart));
    std::fill_n(values.data(), n_threads * apart, T(0.5));
    double best = 0;
    for (int repeat = 0; repeat < 5; ++repeat) {
        const auto start = clock::now();
        parallel(n_threads,
                 [&](Team team) { functions<T>(table).multiply_add(iterations, values.data() + team.thread * apart); });
        const double seconds = std::chrono::duration<double>(clock::now() - start).count();
        best = std::max(best, 2.0 * iterations * table.fma_per_iteration * width * n_threads / seconds * 1e-9);
    }
    return best;
}

template double fma_peak<float>(int);
template double fma_peak<double>(int);

}  // namespace skrnn
