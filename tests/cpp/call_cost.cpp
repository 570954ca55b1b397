// What one call costs, in figures that noise cannot touch. call_cost.py runs this and holds the figures against
// call_cost.json.
//
//   call_cost about                       compiler, C library and instruction sets, a line each
//   call_cost counts ISA [CASE]           per case: allocations of a call, and parallel regions of it without and with
//                                         threads
//   call_cost instructions ISA [CASE]     for a counter of instructions (callgrind): each case is called once, then n
//                                         times, then 2n times, and `boundary` is entered before, between and after
//
// CASE: only those whose name begins with it.
#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>
#ifdef __GLIBC__
#include <gnu/libc-version.h>
#endif

#include "core/dense.h"
#include "core/parallel.h"
#include "core/recurrent.h"
#include "core/solver.h"

#define NOINLINE __attribute__((noinline))

// ---- Counters -------------------------------------------------------------------------------------------------------
// The linker (-Wl,--wrap, see CMakeLists.txt) leads every call of these functions in our objects here; C++'s own
// operator new may be replaced, and then leads here as well. The library itself holds no counter.

namespace {

std::atomic<long> allocations{0}, regions{0};

// Memory comes from lists of free blocks, one per power of two: once warm, an allocation takes the same few
// instructions whatever came before. Those of the C library's allocator depend on the state of its heap, by some
// percent of a small call.
constexpr std::size_t page = 4096;  // before the memory lies as much, for `Header` and whatever alignment is asked for

struct Header {
    Header* next;
    int power;
};

Header* free_blocks[64];

/// Of the lists. Few instructions, and no library's.
struct Lock {
    static inline std::atomic_flag taken = ATOMIC_FLAG_INIT;
    Lock() {
        while (taken.test_and_set(std::memory_order_acquire)) {
        }
    }
    ~Lock() { taken.clear(std::memory_order_release); }
};

}  // namespace

extern "C" {
void* __real_aligned_alloc(std::size_t alignment, std::size_t size);

void* __wrap_aligned_alloc(std::size_t alignment, std::size_t size) {
    if (alignment > page) std::abort();  // not served here
    const Lock lock;
    ++allocations;
    const int power = 64 - __builtin_clzll(page + size - 1);
    Header* block = free_blocks[power];
    if (block != nullptr) {
        free_blocks[power] = block->next;
    } else {
        block = static_cast<Header*>(__real_aligned_alloc(page, std::size_t(1) << power));
        if (block == nullptr) return nullptr;
        block->power = power;
    }
    return reinterpret_cast<char*>(block) + page;
}
void __wrap_free(void* p) {
    if (p == nullptr) return;
    const Lock lock;
    auto* const block = reinterpret_cast<Header*>(static_cast<char*>(p) - page);
    block->next = free_blocks[block->power];
    free_blocks[block->power] = block;
}
void* __wrap_malloc(std::size_t size) { return __wrap_aligned_alloc(alignof(std::max_align_t), size); }
void* __wrap_calloc(std::size_t count, std::size_t size) {
    void* const p = __wrap_malloc(count * size);
    return p == nullptr ? p : std::memset(p, 0, count * size);
}
int __wrap_posix_memalign(void** p, std::size_t alignment, std::size_t size) {
    *p = __wrap_aligned_alloc(alignment, size);
    return *p == nullptr ? ENOMEM : 0;
}

#if defined(_OPENMP) && defined(__GNUC__) && !defined(__clang__)
#define REGIONS_ARE_COUNTED 1
void __real_GOMP_parallel(void (*body)(void*), void* data, unsigned n_threads, unsigned flags);

void __wrap_GOMP_parallel(void (*body)(void*), void* data, unsigned n_threads, unsigned flags) {
    ++regions;
    __real_GOMP_parallel(body, data, n_threads, flags);
}
#else
#define REGIONS_ARE_COUNTED 0
#endif

/// Entered where the instructions of one interval end and those of the next begin.
NOINLINE void boundary() { asm volatile("" ::: "memory"); }
}

// Once GCC has inlined one of a pair, it takes it for a mistake that the other is not free() or malloc().
NOINLINE void* operator new(std::size_t size) {
    void* const p = std::malloc(size);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}
NOINLINE void* operator new(std::size_t size, std::align_val_t alignment) {
    const auto line = static_cast<std::size_t>(alignment);
    void* const p = std::aligned_alloc(line, size);
    if (p == nullptr) throw std::bad_alloc();
    return p;
}
NOINLINE void operator delete(void* p) noexcept { std::free(p); }
NOINLINE void operator delete(void* p, std::size_t) noexcept { std::free(p); }
NOINLINE void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
NOINLINE void operator delete(void* p, std::size_t, std::align_val_t) noexcept { std::free(p); }

using namespace skrnn;

namespace {

// ---- Cases ----------------------------------------------------------------------------------------------------------

using Call = std::function<void()>;

struct Case {
    std::string name;
    std::function<Call()> prepare;  // what is not part of the call
};

/// Always the same ones, between offset - scale and offset + scale.
template <class T>
struct Numbers : Buffer<T> {
    explicit Numbers(index_t size, double scale = 1.0, double offset = 0.0)
        : Buffer<T>(static_cast<std::size_t>(size)) {
        for (index_t i = 0; i < size; ++i)
            this->data()[i] = static_cast<T>(offset + scale * (static_cast<double>(i * 7919 % 1009) / 504.0 - 1.0));
    }
};

template <class T>
std::shared_ptr<Numbers<T>> numbers(index_t size, double scale = 1.0, double offset = 0.0) {
    return std::make_shared<Numbers<T>>(size, scale, offset);
}

struct Sizes {
    index_t rows, steps, input_size, hidden_size;
    std::vector<std::int64_t> lengths;  // empty: all of them
    bool reverse;
};

const Sizes one_step{1, 1, 24, 72, {}, false};
const Sizes one_row{1, 30, 24, 72, {}, false};
const Sizes batch{7, 10, 24, 72, {}, false};
const Sizes ragged{7, 10, 24, 72, {3, 10, 0, 7, 10, 1, 5}, true};

/// A layer, and arrays for all that a call of it may read or write.
template <class T>
struct Layer {
    Layer(const std::string& cell_name, Sizes s)
        : sizes(std::move(s)),
          cell(find(cell_name)),
          weight_ih(gate_rows() * sizes.input_size, 0.2),
          weight_hh(gate_rows() * sizes.hidden_size, 0.2),
          bias_ih(gate_rows()),
          bias_hh(gate_rows()),
          x(sizes.rows * sizes.steps * sizes.input_size),
          h(sizes.rows * sizes.hidden_size),
          c(sizes.rows * sizes.hidden_size),
          output(sizes.rows * sizes.steps * sizes.hidden_size),
          final_h(sizes.rows * sizes.hidden_size),
          final_c(sizes.rows * sizes.hidden_size),
          d_output(sizes.rows * sizes.steps * sizes.hidden_size),
          d_x(sizes.rows * sizes.steps * sizes.input_size),
          d_weight_ih(gate_rows() * sizes.input_size),
          d_weight_hh(gate_rows() * sizes.hidden_size),
          d_bias_ih(gate_rows()),
          d_bias_hh(gate_rows()) {
        const index_t I = sizes.input_size, H = sizes.hidden_size;
        const bool two_states = cell.data->n_states > 1;
        call.rows = sizes.rows;
        call.steps = sizes.steps;
        call.lengths = sizes.lengths.empty() ? nullptr : sizes.lengths.data();
        call.reverse = sizes.reverse;
        call.x = {x.data(), sizes.steps * I, I};
        call.state = {h.data(), two_states ? c.data() : nullptr};
        call.output = {output.data(), sizes.steps * H, H};
        call.final_state = {final_h.data(), two_states ? final_c.data() : nullptr};
        wanted.d_output = {d_output.data(), sizes.steps * H, H};
        wanted.d_x = {d_x.data(), sizes.steps * I, I};
        wanted.d_weight_ih = d_weight_ih.data();
        wanted.d_weight_hh = d_weight_hh.data();
        wanted.d_bias_ih = d_bias_ih.data();
        wanted.d_bias_hh = d_bias_hh.data();
    }

    static const Cell& find(const std::string& name) {
        const KernelTable& table = kernels();
        for (int k = 0; k < table.n_cells; ++k)
            if (name == table.cells[k].data->name) return table.cells[k];
        throw std::invalid_argument("there is no cell " + name);
    }
    index_t gate_rows() const { return cell.data->n_gates * sizes.hidden_size; }

    std::shared_ptr<RecurrentWeights<T>> pack() const {
        return std::make_shared<RecurrentWeights<T>>(kernels(), cell, Activation::tanh, sizes.input_size,
                                                     sizes.hidden_size, weight_ih.data(), weight_hh.data(),
                                                     bias_ih.data(), bias_hh.data(), true);
    }

    Sizes sizes;
    const Cell& cell;
    Numbers<T> weight_ih, weight_hh, bias_ih, bias_hh, x, h, c, output, final_h, final_c;
    Numbers<T> d_output, d_x, d_weight_ih, d_weight_hh, d_bias_ih, d_bias_hh;
    RecurrentCall<T> call;
    RecurrentGradients<T> wanted;
};

template <class T>
Call pack(const std::string& cell) {
    const auto layer = std::make_shared<Layer<T>>(cell, one_step);
    return [layer] { layer->pack(); };
}

template <class T>
Call forward(const std::string& cell, const Sizes& sizes) {
    const auto layer = std::make_shared<Layer<T>>(cell, sizes);
    const auto weights = layer->pack();
    return [layer, weights] { weights->forward(layer->call); };
}

template <class T>
Call record(const std::string& cell, const Sizes& sizes, bool backward) {
    const auto layer = std::make_shared<Layer<T>>(cell, sizes);
    const auto weights = layer->pack();
    const auto workspace = std::make_shared<Workspace>();  // as the steps of a fit share one
    return [layer, weights, workspace, backward] {
        const auto tape = weights->record(layer->call, 0, workspace);
        if (backward) tape->backward(layer->wanted);
    };
}

template <class T>
Call dense(bool backward) {
    constexpr index_t rows = 13, I = 72, O = 10;
    const auto x = numbers<T>(rows * I), weight = numbers<T>(O * I), bias = numbers<T>(O), out = numbers<T>(rows * O);
    if (!backward) return [=] { dense_forward<T>(x->data(), weight->data(), bias->data(), out->data(), rows, I, O); };
    const auto d_x = numbers<T>(rows * I), d_weight = numbers<T>(O * I), d_bias = numbers<T>(O);
    return [=] {
        dense_backward<T>(x->data(), weight->data(), out->data(), d_x->data(), d_weight->data(), d_bias->data(), rows,
                          I, O);
    };
}

template <class T>
Call loss(bool cross_entropy) {
    constexpr index_t rows = 30, columns = 11;
    const auto prediction = numbers<T>(rows * columns, 5.0), target = numbers<T>(rows * columns);
    const auto weight = numbers<T>(rows), d_prediction = numbers<T>(rows * columns);
    if (!cross_entropy)
        return [=] {
            functions<T>(kernels()).squared_error(
                {prediction->data(), target->data(), weight->data(), d_prediction->data(), rows, columns});
        };
    const auto classes = std::make_shared<std::vector<std::int64_t>>();
    for (index_t i = 0; i < rows; ++i) classes->push_back(i % columns);
    return [=] {
        functions<T>(kernels()).cross_entropy(prediction->data(), classes->data(), weight->data(), d_prediction->data(),
                                              columns, rows, columns);
    };
}

template <class T>
Call step(const std::string& name) {
    constexpr index_t size = 3001;
    const auto params = numbers<T>(size), grads = numbers<T>(size), first = numbers<T>(size);
    const auto second = numbers<T>(size, 0.5, 1.0);  // a mean of squares: not negative
    const SolverOptions options{1e-3, 1.0, 1e-4, 2900, 0.9, 0.9, 0.99, 1e-8, 3};
    const Solver* const solver = find_solver(name);
    return [=] {
        T* const slots[] = {first->data(), second->data()};
        solver_step<T>(*solver, options, size, params->data(), grads->data(), slots);
    };
}

template <class T>
Call elementwise(void (*Functions<T>::*function)(const T*, T*, index_t)) {
    constexpr index_t size = 1003;
    const auto x = numbers<T>(size, 20.0), out = numbers<T>(size);
    return [=] { (functions<T>(kernels()).*function)(x->data(), out->data(), size); };
}

template <class T>
void add_cases(const std::string& type, const std::vector<std::string>& cells, std::vector<Case>& cases) {
    const auto add = [&](const std::string& name, std::function<Call()> prepare) {
        cases.push_back({type + "/" + name, std::move(prepare)});
    };
    for (const std::string& cell : cells) {
        add(cell + "/pack", [=] { return pack<T>(cell); });
        add(cell + "/forward_step", [=] { return forward<T>(cell, one_step); });
        add(cell + "/forward_row", [=] { return forward<T>(cell, one_row); });
        add(cell + "/forward_batch", [=] { return forward<T>(cell, batch); });
        add(cell + "/record_batch", [=] { return record<T>(cell, batch, false); });
        add(cell + "/train_batch", [=] { return record<T>(cell, batch, true); });
        add(cell + "/train_ragged", [=] { return record<T>(cell, ragged, true); });
    }
    add("dense/forward", [] { return dense<T>(false); });
    add("dense/backward", [] { return dense<T>(true); });
    add("loss/cross_entropy", [] { return loss<T>(true); });
    add("loss/squared_error", [] { return loss<T>(false); });
    for (const std::string solver : {"sgd", "adam", "adamw", "rmsprop"})
        add("solver/" + solver, [=] { return step<T>(solver); });
    add("math/exp", [] { return elementwise<T>(&Functions<T>::exp); });
    add("math/sigmoid", [] { return elementwise<T>(&Functions<T>::sigmoid); });
    add("math/tanh", [] { return elementwise<T>(&Functions<T>::tanh); });
}

std::vector<Case> all_cases() {
    std::vector<Case> cases;
    // One with one state, one with two, one with a slot more than gates, one with two stages.
    add_cases<float>("float32", {"rnn", "lstm", "gru", "gru_reset_before"}, cases);
    add_cases<double>("float64", {"lstm"}, cases);
    return cases;
}

// ---- Counting -------------------------------------------------------------------------------------------------------

constexpr int n = 2;  // calls; and, where instructions are counted, twice as many

/// Per call, after a first one that warms up what lasts: lazy symbols, the workspace, the team of threads.
double per_call(const Call& call, const std::atomic<long>& counter) {
    call();
    const long before = counter;
    for (int i = 0; i < n; ++i) call();
    return static_cast<double>(counter - before) / n;
}

void count(const Case& one) {
    const Call call = one.prepare();
    std::printf("%s %g", one.name.c_str(), per_call(call, allocations));
    if (REGIONS_ARE_COUNTED) {
        std::printf(" %g", per_call(call, regions));
        const double before = set_work_per_thread(1.0);
        std::printf(" %g", per_call(call, regions));
        set_work_per_thread(before);
    }
    std::printf("\n");
}

void show_instructions(const Case& one) {
    std::printf("%s %d\n", one.name.c_str(), n);
    const Call call = one.prepare();
    for (int i = 0; i < n; ++i) call();
    boundary();
    for (int i = 0; i < n; ++i) call();
    boundary();
    for (int i = 0; i < 2 * n; ++i) call();
    boundary();
}

void about() {
    std::printf("compiler %s\n", SKRNN_COMPILER);
#ifdef __GLIBC__
    std::printf("library glibc %s\n", gnu_get_libc_version());
#else
    std::printf("library unknown\n");
#endif
#ifdef __OPTIMIZE__
    std::printf("optimized yes\n");
#else
    std::printf("optimized no\n");
#endif
    std::printf("regions %s\n", REGIONS_ARE_COUNTED ? "counted" : "not counted");
    std::printf("isas");
    for (const std::string& isa : available_isas()) std::printf(" %s", isa.c_str());
    std::printf("\n");
}

}  // namespace

int main(int argc, char** argv) {
    const std::string what = argc > 1 ? argv[1] : "";
    if (what == "about" && argc == 2) {
        about();
    } else if ((what == "counts" || what == "instructions") && (argc == 3 || argc == 4)) {
        use_isa(argv[2]);
        const std::string wanted = argc == 4 ? argv[3] : "";
        for (const Case& one : all_cases())
            if (one.name.compare(0, wanted.size(), wanted) == 0) what == "counts" ? count(one) : show_instructions(one);
    } else {
        std::fprintf(stderr, "usage: call_cost about | call_cost counts|instructions ISA [CASE]\n");
        return EXIT_FAILURE;
    }
    return EXIT_SUCCESS;
}
