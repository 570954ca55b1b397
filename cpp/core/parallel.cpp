#include "parallel.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <fstream>
#include <limits>
#include <string>
#if defined(__unix__) || defined(__APPLE__)
#include <pthread.h>
#endif

namespace skrnn {
namespace {

std::atomic<int> thread_cap{0};
std::atomic<bool> forked{false};

// Multiply-adds that are worth a thread: some 60 us of one core. A region costs 2 to 5 us when its threads are waiting
// for it, but a scheduler's time slice (milliseconds) when another program has their core; a fit of many small steps
// would meet that often, so a call must be worth the risk.
std::atomic<double> work_per_thread{8.0e6};

#ifdef _OPENMP
/// Processors that the control group's quota amounts to, rounded up; a large number where there is none.
int read_quota() {
    constexpr int none = std::numeric_limits<int>::max();
    double limit = 0, period = 0;
    std::string word;
    if (std::ifstream v2("/sys/fs/cgroup/cpu.max"); v2 >> word >> period) {
        if (word == "max") return none;
        limit = std::atof(word.c_str());
    } else {
        std::ifstream v1_limit("/sys/fs/cgroup/cpu/cpu.cfs_quota_us"),
            v1_period("/sys/fs/cgroup/cpu/cpu.cfs_period_us");
        if (!(v1_limit >> limit) || !(v1_period >> period)) return none;
    }
    if (limit <= 0 || period <= 0) return none;
    return std::max(1, static_cast<int>(std::ceil(limit / period)));
}

/// OMP_NUM_THREADS as OpenMP saw it, or a limit that somebody (threadpoolctl, say) has set since.
bool somebody_chose(int n) {
    static const bool by_environment = [] {
        const char* const value = std::getenv("OMP_NUM_THREADS");
        return value != nullptr && *value != '\0';
    }();
    return by_environment || n != omp_get_num_procs();
}
#endif

}  // namespace

void prepare_threads() {
    max_threads();  // reads the environment now: getenv must not run beside another thread's setenv
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });
#endif
}

int set_thread_cap(int n) { return thread_cap.exchange(n); }

int max_threads() {
#ifdef _OPENMP
    static const int quota = read_quota();
    if (forked.load(std::memory_order_relaxed) || omp_in_parallel()) return 1;
    int n = omp_get_max_threads();  // unless somebody chose: the processors of the affinity mask
    if (!somebody_chose(n)) n = std::min(n, quota);
    if (const int cap = thread_cap.load(); cap > 0) n = std::min(n, cap);
    return std::max(1, n);
#else
    return 1;
#endif
}

double set_work_per_thread(double multiply_adds) { return work_per_thread.exchange(multiply_adds); }

int threads_for(double multiply_adds) {
    const double worth = multiply_adds / work_per_thread.load(std::memory_order_relaxed);
    return worth < 2 ? 1 : std::min(max_threads(), static_cast<int>(std::min(worth, 1.0e6)));
}

}  // namespace skrnn
