// What this machine can do, for bench/roofline.py: times of single instructions, of loads from each level of the cache,
// and of handing a value to another core. Compiled and run by roofline.py with VECTOR_BYTES and the flags of the
// instruction set in force. Prints "name value" lines; every time is in nanoseconds and the least of several
// repetitions.
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef float vec __attribute__((vector_size(VECTOR_BYTES)));

enum { repeats = 9, multiply_chains = 8, add_chains = 4, divisions = 2, width = VECTOR_BYTES / sizeof(float) };

static vec a, b;  // of values that keep every chain finite
static volatile float sink;

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

// Compiled with -ffp-contract=fast: a multiplication and an addition are one instruction where there is one.
#define MULTIPLY_ADD(i) m[i] = m[i] * x + y;
#define EIGHT(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7)

// One multiply-add that waits for the one before it.
static void chain(long n) {
    vec m = a, x = a, y = b;
    while (n-- > 0) m = m * x + y;
    sink = m[0];
}

// 64 multiply-adds, eight at a time, with nothing, with 16 additions or with two divisions among them.
#define STREAM(name, extra)                                                \
    static void name(long n) {                                             \
        vec m[multiply_chains], s[add_chains], d[divisions], x = a, y = b; \
        for (int i = 0; i < multiply_chains; ++i) m[i] = a;                \
        for (int i = 0; i < add_chains; ++i) s[i] = b;                     \
        for (int i = 0; i < divisions; ++i) d[i] = b;                      \
        while (n-- > 0) {                                                  \
            extra                                                          \
        }                                                                  \
        for (int i = 1; i < multiply_chains; ++i) m[0] += m[i];            \
        for (int i = 0; i < add_chains; ++i) m[0] += s[i];                 \
        for (int i = 0; i < divisions; ++i) m[0] += d[i];                  \
        sink = m[0][0];                                                    \
    }
#define ADD(i) s[i] = s[i] + y;
#define PLAIN EIGHT(MULTIPLY_ADD)
#define ADDING EIGHT(MULTIPLY_ADD) ADD(0) ADD(1) ADD(2) ADD(3)
#define DIVIDE(i) d[i] = y / d[i];
STREAM(multiply, PLAIN PLAIN PLAIN PLAIN PLAIN PLAIN PLAIN PLAIN)
STREAM(multiply_and_add, ADDING PLAIN ADDING PLAIN ADDING PLAIN ADDING PLAIN)
STREAM(multiply_and_divide, DIVIDE(0) PLAIN PLAIN PLAIN PLAIN DIVIDE(1) PLAIN PLAIN PLAIN PLAIN)

static double least(void (*run)(long), long n) {
    double best = 1e300;
    for (int r = 0; r < repeats; ++r) {
        const double start = now();
        run(n);
        const double time = (now() - start) / (double)n;
        if (time < best) best = time;
    }
    return best;
}

// Nanoseconds per byte of reading `bytes` again and again.
static double load(const vec* p, size_t bytes) {
    const size_t n = bytes / sizeof(vec);
    const long rounds = (long)(((size_t)24 << 20) / bytes) + 1;
    double best = 1e300;
    for (int r = 0; r < repeats; ++r) {
        vec s[8];
        for (int i = 0; i < 8; ++i) s[i] = a;
        const double start = now();
        for (long k = 0; k < rounds; ++k) {
            for (size_t i = 0; i < n; i += 8) {
#define LOAD(j) s[j] += p[i + j];
                EIGHT(LOAD)
            }
            __asm__ volatile("" ::: "memory");
        }
        const double time = (now() - start) / (double)rounds / (double)bytes;
        for (int i = 1; i < 8; ++i) s[0] += s[i];
        sink = s[0][0];
        if (time < best) best = time;
    }
    return best;
}

// A number goes to and fro between two threads that wait by spinning.
enum { passes = 1000 };
static _Alignas(128) atomic_int ball;
static void* play_back(void* unused) {
    for (int i = 1; i < 2 * passes; i += 2) {
        while (atomic_load_explicit(&ball, memory_order_acquire) != i) {
        }
        atomic_store_explicit(&ball, i + 1, memory_order_release);
    }
    return unused;
}
static double handover(void) {
    double best = 1e300;
    for (int r = 0; r < repeats; ++r) {
        pthread_t other;
        atomic_store(&ball, 0);
        if (pthread_create(&other, NULL, play_back, NULL) != 0) exit(1);
        const double start = now();
        for (int i = 0; i < 2 * passes; i += 2) {
            while (atomic_load_explicit(&ball, memory_order_acquire) != i) {
            }
            atomic_store_explicit(&ball, i + 1, memory_order_release);
        }
        pthread_join(other, NULL);
        const double time = (now() - start) / (2.0 * passes);
        if (time < best) best = time;
    }
    return best;
}

int main(int n_arguments, char** arguments) {
    for (int i = 0; i < (int)width; ++i) a[i] = 0.5f, b[i] = 1.0f;
    const long n = 100000;
    const double plain = least(multiply, n);
    printf("multiply %.5f\n", plain / 64);
    printf("add %.5f\n", (least(multiply_and_add, n) - plain) / 16);
    printf("divide %.5f\n", (least(multiply_and_divide, n) - plain) / 2);
    printf("latency %.5f\n", least(chain, 1000000));
    const size_t most = (size_t)64 << 20;
    vec* const p = aligned_alloc(4096, most);
    if (p == NULL) return 1;
    memset(p, 0, most);
    for (size_t bytes = (size_t)16 << 10; bytes <= most; bytes *= 2) printf("load_%zu %.6f\n", bytes, load(p, bytes));
    free(p);
    if (n_arguments > 1 && strcmp(arguments[1], "1") != 0) printf("handover %.2f\n", handover());
    return 0;
}
