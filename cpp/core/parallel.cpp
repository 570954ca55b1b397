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
#include <sched.h>
#endif

namespace skrnn {
namespace {

std::atomic<int> thread_cap{0};
std::atomic<bool> forked{false};

// Multiply-adds that are worth a thread: some 60 us of one core. A region costs 2 to 5 us when its threads are waiting
// for it, but a scheduler's time slice (milliseconds) when another program has their core; a fit of many small steps
// would meet that often, so a call must be worth the risk.
constexpr double default_work_per_thread = 8.0e6;
std::atomic<double> work_per_thread{default_work_per_thread};

// Threads that share the units of a step meet after it, which costs a fraction of a microsecond: a step must be worth
// that to each of them.
constexpr double step_work_per_thread = 3.2e4;

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

LoopShare share_loop(double multiply_adds, double step_multiply_adds, index_t rows) {
    const int n_threads = threads_for(multiply_adds);
    if (n_threads == 1 || rows > few_rows * n_threads)
        return {std::min<int>(n_threads, static_cast<int>(std::max<index_t>(rows, 1))), false};
    const double scale = work_per_thread.load(std::memory_order_relaxed) / default_work_per_thread;
    const double worth = step_multiply_adds * static_cast<double>(rows) / (step_work_per_thread * scale);
    const int by_units = std::min(n_threads, static_cast<int>(std::min(worth, 1.0e6)));
    const int by_rows = std::min<int>(n_threads, static_cast<int>(std::max<index_t>(rows, 1)));
    return by_units > 1 && by_units >= by_rows ? LoopShare{by_units, true} : LoopShare{by_rows, false};
}

void Meeting::wait(int size) noexcept {
    const unsigned round = round_.load(std::memory_order_relaxed);
    if (arrived_.fetch_add(1, std::memory_order_acq_rel) + 1 == size) {
        arrived_.store(0, std::memory_order_relaxed);
        round_.store(round + 1, std::memory_order_release);
        return;
    }
#ifdef _OPENMP
    static const int processors = omp_get_num_procs();
#else
    constexpr int processors = 1;
#endif
    const int spins = size <= processors ? 100000 : 0;  // about a scheduler's time slice
    for (int spin = 0; round_.load(std::memory_order_acquire) == round; ++spin) {
        if (spin < spins) {
#if defined(__x86_64__)
            __builtin_ia32_pause();
#elif defined(__aarch64__)
            asm volatile("yield");
#endif
        } else {
#if defined(__unix__) || defined(__APPLE__)
            sched_yield();
#endif
        }
    }
}

}  // namespace skrnn
