// Threads: how many, and one parallel region per call.
#pragma once

#include <atomic>

#include "kernel_table.h"
#ifdef _OPENMP
#include <omp.h>
#endif

namespace skrnn {

/// Looks at the environment and registers what a forked child needs; once, at import.
void prepare_threads();

/// Caps the threads of later calls; 0 removes the cap. Returns the cap before.
int set_thread_cap(int n);

/// Threads a large call from this Python thread would use: the least of the cap, omp_get_max_threads() (which knows
/// OMP_NUM_THREADS, threadpoolctl and the affinity mask) and, unless somebody chose a number, the control group's
/// quota. 1 in a forked child, where an OpenMP team would wait for threads that were not forked along, and inside
/// somebody else's parallel region.
int max_threads();

/// Threads for a call of that much work; a region costs some microseconds, so small calls stay on one thread. Nothing
/// that is computed depends on the answer.
int threads_for(double multiply_adds);

/// How much work is worth a thread. Tests lower it, to see many threads at work on little. Returns the value before.
double set_work_per_thread(double multiply_adds);

/// How the time loop of one call is shared: by rows, or by the hidden units of all rows.
struct LoopShare {
    int n_threads;
    bool by_units;
};

/// `multiply_adds` of the whole call, `step_multiply_adds` of the recurrent product of one row at one step.
LoopShare share_loop(double multiply_adds, double step_multiply_adds, index_t rows);

/// Where threads wait for one another within a region, many times in a row. They wait actively: who gives up the core
/// for a microsecond's wait may get it back a time slice later, and then keeps the others waiting.
class Meeting {
public:
    void wait(int size) noexcept;

private:
    alignas(64) std::atomic<int> arrived_{0};
    alignas(64) std::atomic<unsigned> round_{0};
};

struct Team {
    int thread, size;
    Meeting* meeting;  // of all threads of the team

    void barrier() const {
        if (size > 1) meeting->wait(size);
    }

    /// This thread's share of [0, n), contiguous.
    index_t begin(index_t n) const { return n * thread / size; }
    index_t end(index_t n) const { return n * (thread + 1) / size; }
};

/// f(team) on each of up to n_threads threads; f must not throw.
template <class F>
void parallel(int n_threads, const F& f) {
#ifdef _OPENMP
    if (n_threads > 1) {
        Meeting meeting;
#pragma omp parallel num_threads(n_threads)
        f(Team{omp_get_thread_num(), omp_get_num_threads(), &meeting});
        return;
    }
#endif
    (void)n_threads;
    f(Team{0, 1, nullptr});
}

}  // namespace skrnn
