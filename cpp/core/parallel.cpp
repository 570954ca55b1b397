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
int quota() {
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

int processors() {
    static const int n = std::min(omp_get_num_procs(), quota());  // omp_get_num_procs knows the affinity mask
    return n;
}

bool user_chose_openmp_threads() {
    const char* const value = std::getenv("OMP_NUM_THREADS");
    return value != nullptr && *value != '\0';
}
#endif

}  // namespace

void prepare_for_fork() {
#if defined(__unix__) || defined(__APPLE__)
    pthread_atfork(nullptr, nullptr, [] { forked.store(true, std::memory_order_relaxed); });
#endif
}

int set_thread_cap(int n) { return thread_cap.exchange(n); }

int max_threads() {
#ifdef _OPENMP
    if (forked.load(std::memory_order_relaxed) || omp_in_parallel()) return 1;
    int n = omp_get_max_threads();
    if (!user_chose_openmp_threads()) n = std::min(n, processors());
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
