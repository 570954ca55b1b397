// Checks of the kernels that need no Python, so that a cross compiler and an emulator can run them too: every cell on
// every instruction set of the machine, against a naive loop, against differences of itself, and bit against bit.
//
// The suite in tests/*.py is wider. A cell without a naive step here is held to everything but the naive loop.
#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "core/parallel.h"
#include "core/pooling.h"
#include "core/recurrent.h"

using namespace skrnn;

namespace {

using Vector = std::vector<double>;

int failures = 0;
int checks = 0;

void check(bool ok, const std::string& what) {
    ++checks;
    if (ok) return;
    ++failures;
    if (failures <= 20) std::printf("FAILED  %s\n", what.c_str());
}

// ---- Problems
// --------------------------------------------------------------------------------------------------------

/// Everything that a result depends on and a gradient exists for.
enum Part { weight_ih, weight_hh, bias_ih, bias_hh, inputs, state_h, state_c, gain_ih, gain_hh, n_parts };
const char* const part_names[n_parts] = {"weight_ih", "weight_hh", "bias_ih", "bias_hh", "x",
                                         "h0",        "c0",        "gain_ih", "gain_hh"};

struct Problem {
    const Cell* cell;
    Activation activation;
    index_t rows, steps, input_size, hidden_size;
    std::vector<std::int64_t> lengths;  // empty: all of them
    bool reverse;
    std::array<Vector, n_parts> value;
    Vector d_output;  // NaN beyond a row's length: must never be read
    std::array<Vector, 2> d_final;
    Draws draws{};
    double zoneout = 0;

    bool normalizes() const { return !value[gain_ih].empty(); }
    bool draws_something() const { return zoneout > 0 || draws.recurrent_dropout > 0; }
    index_t length(index_t n) const { return lengths.empty() ? steps : lengths[static_cast<std::size_t>(n)]; }
    std::string name() const {
        return std::string(cell->data->name) + " activation " + std::to_string(static_cast<int>(activation)) + " N " +
               std::to_string(rows) + " T " + std::to_string(steps) + " I " + std::to_string(input_size) + " H " +
               std::to_string(hidden_size) + (lengths.empty() ? "" : " ragged") + (reverse ? " reverse" : "") +
               (normalizes() ? " norm" : "") + (zoneout > 0 ? " zoneout" : "") +
               (draws.recurrent_dropout > 0 ? " dropout" : "") + ": ";
    }
};

struct Sizes {
    index_t rows, steps, input_size, hidden_size;
};

template <class Draw>
Problem make_problem(const Cell& cell, Activation activation, Sizes sizes, std::vector<std::int64_t> lengths,
                     bool reverse, Draw draw) {
    const CellData& data = *cell.data;
    const index_t N = sizes.rows, T = sizes.steps, I = sizes.input_size, H = sizes.hidden_size;
    Problem p{&cell, activation, N, T, I, H, std::move(lengths), reverse, {}, {}, {}, {}, 0};
    const auto vector = [&](index_t size) {
        Vector v(static_cast<std::size_t>(size));
        for (double& x : v) x = draw();
        return v;
    };
    const index_t G = data.n_gates;
    p.value = {vector(G * H * I),
               vector(G * H * H),
               vector(G * H),
               vector(G * H),
               vector(N * T * I),
               vector(N * H),
               vector(data.n_states > 1 ? N * H : 0),
               {},
               {}};
    p.d_output = vector(N * T * H);
    p.d_final = {vector(N * H), vector(data.n_states > 1 ? N * H : 0)};
    const double nan = std::numeric_limits<double>::quiet_NaN();
    for (index_t n = 0; n < N; ++n) {
        const auto from = [&](Vector& v, index_t size) { return v.begin() + (n * T + p.length(n)) * size; };
        const auto to = [&](Vector& v, index_t size) { return v.begin() + (n + 1) * T * size; };
        std::fill(from(p.value[inputs], I), to(p.value[inputs], I), nan);
        std::fill(from(p.d_output, H), to(p.d_output, H), nan);
    }
    return p;
}

/// The problem with some of the techniques on.
template <class Draw>
Problem regularized(Problem p, bool normalizes, double zoneout, double recurrent_dropout, Draw draw) {
    if (normalizes)
        for (const Part gain : {gain_ih, gain_hh})
            for (std::size_t i = 0; i < p.value[bias_ih].size(); ++i) p.value[gain].push_back(1 + 0.3 * draw());
    p.zoneout = zoneout;
    p.draws = {recurrent_dropout, 0x123456789abcdef};
    return p;
}

// ---- Running the kernels
// ---------------------------------------------------------------------------------------------

template <class T>
std::vector<T> cast(const Vector& v) {
    return std::vector<T>(v.begin(), v.end());
}

template <class T>
struct Result {
    std::vector<T> output;
    std::array<std::vector<T>, 2> final_state;
    std::array<std::vector<T>, n_parts> gradient;  // empty without a backward pass
};

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
    return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

template <class T>
Result<T> run(const Problem& p, bool backward) {
    const index_t N = p.rows, steps = p.steps, I = p.input_size, H = p.hidden_size;
    const bool two_states = p.cell->data->n_states > 1;
    std::array<std::vector<T>, n_parts> value;
    for (int k = 0; k < n_parts; ++k)
        value[static_cast<std::size_t>(k)] = cast<T>(p.value[static_cast<std::size_t>(k)]);

    const auto weights = std::make_shared<RecurrentWeights<T>>(
        kernels(), *p.cell, p.activation, I, H, value[weight_ih].data(), value[weight_hh].data(), value[bias_ih].data(),
        value[bias_hh].data(), backward, p.zoneout, p.normalizes() ? value[gain_ih].data() : nullptr,
        p.normalizes() ? value[gain_hh].data() : nullptr);
    Result<T> result;
    result.output.assign(static_cast<std::size_t>(N * steps * H), T(99));
    result.final_state[0].assign(static_cast<std::size_t>(N * H), T(99));
    if (two_states) result.final_state[1] = result.final_state[0];

    RecurrentCall<T> call;
    call.rows = N;
    call.steps = steps;
    call.lengths = p.lengths.empty() ? nullptr : p.lengths.data();
    call.reverse = p.reverse;
    call.x = {value[inputs].data(), steps * I, I};
    call.state = {value[state_h].data(), two_states ? value[state_c].data() : nullptr};
    call.output = {result.output.data(), steps * H, H};
    call.final_state = {result.final_state[0].data(), two_states ? result.final_state[1].data() : nullptr};
    call.draws = p.draws;
    if (!backward) {
        weights->forward(call);
        return result;
    }

    const auto tape = weights->record(call, 0, nullptr);
    const std::vector<T> d_output = cast<T>(p.d_output);
    const std::array<std::vector<T>, 2> d_final = {cast<T>(p.d_final[0]), cast<T>(p.d_final[1])};
    for (int k = 0; k < n_parts; ++k)
        result.gradient[static_cast<std::size_t>(k)].assign(p.value[static_cast<std::size_t>(k)].size(), T(99));
    auto& gradient = result.gradient;
    RecurrentGradients<T> wanted;
    wanted.d_output = {d_output.data(), steps * H, H};
    wanted.d_final_state = {d_final[0].data(), two_states ? d_final[1].data() : nullptr};
    wanted.d_x = {gradient[inputs].data(), steps * I, I};
    wanted.d_state = {gradient[state_h].data(), two_states ? gradient[state_c].data() : nullptr};
    wanted.d_weight_ih = gradient[weight_ih].data();
    wanted.d_weight_hh = gradient[weight_hh].data();
    wanted.d_bias_ih = gradient[bias_ih].data();
    wanted.d_bias_hh = gradient[bias_hh].data();
    wanted.d_gain_ih = gradient[gain_ih].data();
    wanted.d_gain_hh = gradient[gain_hh].data();
    tape->backward(wanted);
    return result;
}

/// sum(output * d_output) + sum(final states * d_final): the loss whose gradient `run` computes.
double loss(const Problem& p) {
    const Result<double> r = run<double>(p, p.draws_something());
    double sum = 0;
    for (index_t n = 0; n < p.rows; ++n)
        for (index_t i = n * p.steps * p.hidden_size; i < (n * p.steps + p.length(n)) * p.hidden_size; ++i)
            sum += r.output[static_cast<std::size_t>(i)] * p.d_output[static_cast<std::size_t>(i)];
    for (std::size_t k = 0; k < 2; ++k)
        for (std::size_t i = 0; i < r.final_state[k].size(); ++i) sum += r.final_state[k][i] * p.d_final[k][i];
    return sum;
}

// ---- The naive loop
// --------------------------------------------------------------------------------------------------

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

struct Naive {
    const Problem& p;

    double gate(double x) const { return p.activation == Activation::linear ? x : sigmoid(x); }
    double phi(double x) const {
        switch (p.activation) {
            case Activation::tanh:
                return std::tanh(x);
            case Activation::relu:
                return x > 0 ? x : 0;
            case Activation::linear:
                return x;
        }
        return x;
    }
    double from_input(index_t k, index_t unit, const double* x) const {
        const index_t row = k * p.hidden_size + unit;
        double sum = p.value[bias_ih][static_cast<std::size_t>(row)];
        for (index_t i = 0; i < p.input_size; ++i) sum += p.value[weight_ih].data()[row * p.input_size + i] * x[i];
        return sum;
    }
    double from_state(index_t k, index_t unit, const Vector& h) const {
        const index_t row = k * p.hidden_size + unit;
        double sum = p.value[bias_hh][static_cast<std::size_t>(row)];
        for (index_t i = 0; i < p.hidden_size; ++i)
            sum += p.value[weight_hh].data()[row * p.hidden_size + i] * h[static_cast<std::size_t>(i)];
        return sum;
    }
    double both(index_t k, index_t unit, const double* x, const Vector& h) const {
        return from_input(k, unit, x) + from_state(k, unit, h);
    }

    /// False for a cell that is not written down here.
    bool step(const double* x, Vector& h, Vector& c) const {
        const std::string name = p.cell->data->name;
        const Vector before = h;
        Vector operand = h;  // what a later gate multiplies
        for (std::size_t u = 0; u < h.size(); ++u) {
            const auto unit = static_cast<index_t>(u);
            if (name == "rnn") {
                h[u] = phi(both(0, unit, x, before));
            } else if (name == "lstm") {
                const double i = gate(both(0, unit, x, before)), f = gate(both(1, unit, x, before));
                const double g = phi(both(2, unit, x, before)), o = gate(both(3, unit, x, before));
                c[u] = f * c[u] + i * g;
                h[u] = o * phi(c[u]);
            } else if (name == "gru") {
                const double r = gate(both(0, unit, x, before)), z = gate(both(1, unit, x, before));
                const double n = phi(from_input(2, unit, x) + r * from_state(2, unit, before));
                h[u] = (1 - z) * n + z * before[u];
            } else if (name == "gru_reset_before" || name == "mgu") {
                operand[u] = gate(both(0, unit, x, before)) * before[u];
            } else {
                return false;
            }
        }
        for (std::size_t u = 0; u < h.size(); ++u) {
            const auto unit = static_cast<index_t>(u);
            if (name == "gru_reset_before") {
                const double z = gate(both(1, unit, x, before)), n = phi(both(2, unit, x, operand));
                h[u] = (1 - z) * n + z * before[u];
            } else if (name == "mgu") {
                const double f = gate(both(0, unit, x, before)), n = phi(both(1, unit, x, operand));
                h[u] = (1 - f) * before[u] + f * n;
            }
        }
        return true;
    }

    bool run(Result<double>& result) const {
        const auto H = static_cast<std::size_t>(p.hidden_size);
        result.output.assign(static_cast<std::size_t>(p.rows * p.steps) * H, 0.0);
        result.final_state[0].clear();
        result.final_state[1].clear();
        for (index_t n = 0; n < p.rows; ++n) {
            const auto row = [&](const Vector& v) {
                return v.empty() ? Vector(H)
                                 : Vector(v.begin() + n * p.hidden_size, v.begin() + (n + 1) * p.hidden_size);
            };
            Vector h = row(p.value[state_h]), c = row(p.value[state_c]);
            for (index_t i = 0; i < p.length(n); ++i) {
                const index_t t = p.reverse ? p.length(n) - 1 - i : i;
                if (!step(p.value[inputs].data() + (n * p.steps + t) * p.input_size, h, c)) return false;
                std::copy(h.begin(), h.end(), result.output.begin() + (n * p.steps + t) * p.hidden_size);
            }
            result.final_state[0].insert(result.final_state[0].end(), h.begin(), h.end());
            if (p.cell->data->n_states > 1)
                result.final_state[1].insert(result.final_state[1].end(), c.begin(), c.end());
        }
        return true;
    }
};

// ---- Checks
// ----------------------------------------------------------------------------------------------------------

template <class T>
double largest_difference(const std::vector<T>& got, const Vector& want) {
    if (got.size() != want.size()) return std::numeric_limits<double>::infinity();
    double largest = 0;
    for (std::size_t i = 0; i < got.size(); ++i) {
        const double difference = std::abs(static_cast<double>(got[i]) - want[i]);
        if (!(difference <= largest)) largest = difference;  // NaN counts as a difference
    }
    return largest;
}

template <class T>
void check_forward(const Problem& p, double tolerance) {
    const Result<T> inference = run<T>(p, false), recorded = run<T>(p, true);
    check(same_bits(inference.output, recorded.output), p.name() + "inference and recording differ");
    for (std::size_t k = 0; k < 2; ++k)
        check(same_bits(inference.final_state[k], recorded.final_state[k]), p.name() + "final states differ");
    Result<double> naive;
    if (p.normalizes() || !Naive{p}.run(naive)) return;
    const double difference = largest_difference(inference.output, naive.output);
    check(difference <= tolerance, p.name() + "output differs from the naive loop by " + std::to_string(difference));
    for (std::size_t k = 0; k < 2; ++k)
        check(largest_difference(inference.final_state[k], naive.final_state[k]) <= tolerance,
              p.name() + "final state differs from the naive loop");
}

/// Every element against central differences of fourth order, rtol 5e-6.
void check_gradients(Problem p) {
    const Result<double> got = run<double>(p, true);
    const double h = p.normalizes() ? 2e-4 : 1e-3;  // what is normalised bends more
    for (std::size_t k = 0; k < n_parts; ++k) {
        double worst = 0;
        for (std::size_t i = 0; i < p.value[k].size(); ++i) {
            const double x = p.value[k][i];
            const auto at = [&](double step) {
                p.value[k][i] = x + step;
                return loss(p);
            };
            const double want = (8 * (at(h) - at(-h)) - (at(2 * h) - at(-2 * h))) / (12 * h);
            p.value[k][i] = x;
            const double error = std::abs(got.gradient[k][i] - want) / (std::abs(want) + 1e-3);
            if (!(error <= worst)) worst = error;
        }
        check(worst <= 5e-6, p.name() + "gradient of " + part_names[k] + " is off by " + std::to_string(worst));
    }
}

/// A row's results do not depend on its neighbours.
template <class T>
void check_rows_alone(const Problem& p) {
    const Result<T> together = run<T>(p, true);
    for (index_t n = 0; n < p.rows; ++n) {
        Problem one = p;
        one.rows = 1;
        one.lengths = {p.length(n)};
        const auto row = [n](const Vector& v, index_t size) {
            return v.empty() ? v : Vector(v.begin() + n * size, v.begin() + (n + 1) * size);
        };
        one.value[inputs] = row(p.value[inputs], p.steps * p.input_size);
        one.value[state_h] = row(p.value[state_h], p.hidden_size);
        one.value[state_c] = row(p.value[state_c], p.hidden_size);
        one.d_output = row(p.d_output, p.steps * p.hidden_size);
        one.d_final = {row(p.d_final[0], p.hidden_size), row(p.d_final[1], p.hidden_size)};
        const Result<T> alone = run<T>(one, true);
        const auto part = [n](const std::vector<T>& v, index_t size) {
            return std::vector<T>(v.begin() + n * size, v.begin() + (n + 1) * size);
        };
        check(same_bits(alone.output, part(together.output, p.steps * p.hidden_size)),
              p.name() + "a row alone differs");
        check(same_bits(alone.gradient[inputs], part(together.gradient[inputs], p.steps * p.input_size)),
              p.name() + "dx of a row alone differs");
    }
}

template <class T>
void check_threads(const Problem& p) {
    const double work = set_work_per_thread(1);
    set_thread_cap(1);
    const Result<T> serial = run<T>(p, true);
    for (const int n : {2, 3, 7}) {
        set_thread_cap(n);
        const Result<T> threaded = run<T>(p, true);
        bool same = same_bits(serial.output, threaded.output);
        for (std::size_t k = 0; k < n_parts; ++k) same = same && same_bits(serial.gradient[k], threaded.gradient[k]);
        check(same, p.name() + "the number of threads changes the bits");
    }
    set_thread_cap(0);
    set_work_per_thread(work);
}

/// Linear gates on small integers: every operation is exact, so there is one right answer on every instruction set.
template <class T>
void check_integers(const Problem& p) {
    Result<double> naive;
    if (!Naive{p}.run(naive)) return;
    for (const double x : naive.output)
        check(std::abs(x) < 16777216.0, p.name() + "the integers of this case do not fit a float");
    check(largest_difference(run<T>(p, true).output, naive.output) == 0, p.name() + "integers are not exact");
}

template <class T>
void check_math(const char* type) {
    const Functions<T>& f = functions<T>(kernels());
    struct Function {
        const char* name;
        void (*got)(const T*, T*, index_t);
        long double (*want)(long double);
        double bound;  // ulp, as stated in cpp/kernels/math.h
    };
    const Function all[] = {
        {"exp", f.exp, [](long double x) { return std::exp(x); }, 1.5},
        {"sigmoid", f.sigmoid, [](long double x) { return 1 / (1 + std::exp(-x)); }, 2.5},
        {"tanh", f.tanh, [](long double x) { return std::tanh(x); }, 3.0},
    };
    std::vector<T> x, y;
    for (int i = -8000; i <= 8000; ++i) x.push_back(static_cast<T>(i) * static_cast<T>(0.01001));
    for (int i = 1; i < 30; ++i) x.push_back(std::ldexp(T(1), -i));
    y.resize(x.size());
    for (const Function& function : all) {
        function.got(x.data(), y.data(), static_cast<index_t>(x.size()));
        double worst = 0;
        for (std::size_t i = 0; i < x.size(); ++i) {
            const long double want = function.want(static_cast<long double>(x[i]));
            const T rounded = static_cast<T>(want);
            if (std::abs(rounded) < std::numeric_limits<T>::min()) continue;
            const T ulp = std::nextafter(std::abs(rounded), std::numeric_limits<T>::infinity()) - std::abs(rounded);
            const auto error =
                static_cast<double>(std::abs(static_cast<long double>(y[i]) - want) / static_cast<long double>(ulp));
            if (!(error <= worst)) worst = error;
        }
        check(worst <= function.bound, std::string(function.name) + " " + type + ": " + std::to_string(worst) + " ulp");
        std::printf("    %-8s %-7s %.2f ulp\n", function.name, type, worst);
    }
}

template <class T, class Draw>
void check_losses(T tolerance, Draw draw) {
    const Functions<T>& f = functions<T>(kernels());
    constexpr index_t rows = 3, columns = 19;
    std::vector<T> logits(rows * columns), target(rows * columns), d(rows * columns), weight{T(1), T(0), T(2.5)};
    for (T& x : logits) x = static_cast<T>(10 * draw());
    for (T& x : target) x = static_cast<T>(draw());
    const std::int64_t classes[rows] = {0, 7, 18};
    double entropy = 0, squares = 0;
    Vector d_entropy, d_squares;
    for (std::size_t n = 0; n < rows; ++n) {
        double sum = 0;
        const T* const row = logits.data() + n * columns;
        for (std::size_t i = 0; i < columns; ++i) sum += std::exp(static_cast<double>(row[i]));
        const auto w = static_cast<double>(weight[n]);
        entropy += w * (std::log(sum) - static_cast<double>(row[classes[n]]));
        for (std::size_t i = 0; i < columns; ++i) {
            const double hit = static_cast<std::int64_t>(i) == classes[n] ? 1 : 0;
            const double error = static_cast<double>(row[i]) - static_cast<double>(target[n * columns + i]);
            d_entropy.push_back(w * (std::exp(static_cast<double>(row[i])) / sum - hit));
            d_squares.push_back(w * error);
            squares += w * 0.5 * error * error;
        }
    }
    const auto close = [tolerance](double got, double want) {
        return std::abs(got - want) <= static_cast<double>(tolerance) * (1 + std::abs(want));
    };
    check(close(f.cross_entropy(logits.data(), classes, weight.data(), d.data(), columns, rows, columns), entropy),
          "softmax cross-entropy");
    check(largest_difference(d, d_entropy) <= static_cast<double>(tolerance), "gradient of softmax cross-entropy");
    check(close(f.squared_error({logits.data(), target.data(), weight.data(), d.data(), rows, columns}), squares),
          "squared error");
    check(largest_difference(d, d_squares) <= 16 * static_cast<double>(tolerance), "gradient of squared error");
}

/// Losses of each element against their formulas; `value` leaves the derivative in `slope`.
template <class T, class Draw>
void check_element_losses(double tolerance, Draw draw) {
    const Functions<T>& f = functions<T>(kernels());
    constexpr index_t rows = 3, columns = 71;  // more than one piece of those with an exponential
    static constexpr double delta = 0.75, level = 0.875;
    using Value = double (*)(double p, double y, double& slope);
    struct Named {
        const char* name;
        double (*loss)(const LossArgs<T>&);
        Value value;
    };
    const Named losses[] = {
        {"absolute error", f.absolute_error,
         [](double p, double y, double& slope) {
             slope = p > y ? 1 : -1;
             return std::abs(p - y);
         }},
        {"huber", f.huber,
         [](double p, double y, double& slope) {
             slope = std::min(std::max(p - y, -delta), delta);
             return std::abs(p - y) <= delta ? 0.5 * (p - y) * (p - y) : delta * (std::abs(p - y) - delta / 2);
         }},
        {"quantile", f.quantile,
         [](double p, double y, double& slope) {
             slope = p > y ? 1 - level : -level;
             return slope * (p - y);
         }},
        {"poisson", f.poisson,
         [](double p, double y, double& slope) {
             slope = std::exp(p) - y;
             return std::exp(p) - y * p;
         }},
        {"binary cross-entropy", f.binary_cross_entropy,
         [](double p, double y, double& slope) {
             slope = 1 / (1 + std::exp(-p)) - y;
             return std::log1p(std::exp(p)) - y * p;
         }},
    };
    std::vector<T> prediction(rows * columns), target(rows * columns), d(rows * columns), levels(columns, T(level));
    std::vector<T> weight{T(1), T(0), T(2.5)};
    for (T& x : prediction) x = static_cast<T>(5 * draw());
    for (T& y : target) y = static_cast<T>(std::abs(draw()));
    for (const Named& loss : losses) {
        double want = 0, size = 1;
        Vector d_want;
        for (std::size_t i = 0; i < d.size(); ++i) {
            const auto w = static_cast<double>(weight[i / columns]);
            double slope;
            want += w * loss.value(static_cast<double>(prediction[i]), static_cast<double>(target[i]), slope);
            d_want.push_back(w * slope);
            size = std::max(size, std::abs(d_want.back()));
        }
        const LossArgs<T> args{prediction.data(), target.data(), weight.data(), d.data(), rows,
                               columns,           delta,         levels.data()};
        check(std::abs(loss.loss(args) - want) <= tolerance * (1 + std::abs(want)), loss.name);
        check(largest_difference(d, d_want) <= tolerance * size, std::string("gradient of ") + loss.name);
    }
}

/// Mean, maximum and attention of ragged rows whose padding is NaN, against plain loops, on one thread and on several.
template <class T, class Draw>
void check_pooling(double tolerance, Draw draw) {
    constexpr std::size_t N = 5, steps = 7, F = 19, A = 21;
    const std::int64_t lengths[N] = {7, 0, 3, 1, 5};
    const PoolingShape shape{N, steps, F, lengths};
    const auto numbers = [&](std::size_t size) {
        std::vector<T> values(size);
        for (T& x : values) x = static_cast<T>(draw());
        return values;
    };
    std::vector<T> x = numbers(N * steps * F), d_out = numbers(N * F), weight = numbers(A * F), bias = numbers(A);
    const std::vector<T> query = numbers(A);
    for (std::size_t n = 0; n < N; ++n)
        std::fill(x.begin() + static_cast<index_t>((n * steps + static_cast<std::size_t>(lengths[n])) * F),
                  x.begin() + static_cast<index_t>((n + 1) * steps * F), std::numeric_limits<T>::quiet_NaN());

    struct Pooled {
        std::vector<T> out, d_x, d_weight, d_bias, d_query;
    };
    const auto pool = [&](const std::string& kind) {
        Pooled r{std::vector<T>(N * F), std::vector<T>(N * steps * F), std::vector<T>(A * F), std::vector<T>(A),
                 std::vector<T>(A)};
        if (kind == "mean") {
            mean_pooling_forward<T>(shape, x.data(), r.out.data());
            mean_pooling_backward<T>(shape, d_out.data(), r.d_x.data());
        } else if (kind == "max") {
            std::vector<std::int64_t> best(N * F);
            max_pooling_forward<T>(shape, x.data(), r.out.data(), best.data());
            max_pooling_backward<T>(shape, d_out.data(), best.data(), r.d_x.data());
        } else {
            std::vector<T> hidden(N * steps * A), alpha(N * steps);
            const Attention<T> attention{A, weight.data(), bias.data(), query.data(), hidden.data(), alpha.data()};
            attention_pooling_forward<T>(shape, attention, x.data(), r.out.data());
            attention_pooling_backward<T>(shape, attention, x.data(), d_out.data(), r.d_x.data(), r.d_weight.data(),
                                          r.d_bias.data(), r.d_query.data());
        }
        return r;
    };

    for (const std::string kind : {"mean", "max", "attention"}) {
        const Pooled got = pool(kind);
        Vector out(N * F), d_x(N * steps * F), d_weight(A * F), d_bias(A), d_query(A);
        for (std::size_t n = 0; n < N; ++n) {
            const auto length = static_cast<std::size_t>(lengths[n]);
            const auto value = [&](std::size_t t, std::size_t i) {
                return static_cast<double>(x[(n * steps + t) * F + i]);
            };
            const auto d = [&](std::size_t i) { return static_cast<double>(d_out[n * F + i]); };
            Vector units(length * A), alpha(length), d_alpha(length);
            double sum = 0, mean = 0;
            for (std::size_t t = 0; t < length; ++t) {
                double score = 0;
                for (std::size_t a = 0; a < A; ++a) {
                    double unit = static_cast<double>(bias[a]);
                    for (std::size_t i = 0; i < F; ++i) unit += static_cast<double>(weight[a * F + i]) * value(t, i);
                    units[t * A + a] = std::tanh(unit);
                    score += units[t * A + a] * static_cast<double>(query[a]);
                }
                alpha[t] = kind == "attention" ? std::exp(score) : 1;
                sum += alpha[t];
            }
            for (std::size_t t = 0; t < length; ++t) {
                alpha[t] /= sum;
                for (std::size_t i = 0; i < F; ++i) d_alpha[t] += d(i) * value(t, i);
                mean += alpha[t] * d_alpha[t];
            }
            for (std::size_t i = 0; i < F && length > 0; ++i) {
                std::size_t best = 0;
                for (std::size_t t = 0; t < length; ++t) {
                    if (value(t, i) > value(best, i)) best = t;
                    if (kind == "max") continue;
                    out[n * F + i] += alpha[t] * value(t, i);
                    d_x[(n * steps + t) * F + i] += alpha[t] * d(i);
                }
                if (kind == "max") {
                    out[n * F + i] = value(best, i);
                    d_x[(n * steps + best) * F + i] = d(i);
                }
            }
            for (std::size_t t = 0; t < length && kind == "attention"; ++t)
                for (std::size_t a = 0; a < A; ++a) {
                    const double unit = units[t * A + a], d_score = alpha[t] * (d_alpha[t] - mean);
                    const double d_unit = d_score * static_cast<double>(query[a]) * (1 - unit * unit);
                    d_query[a] += d_score * unit;
                    d_bias[a] += d_unit;
                    for (std::size_t i = 0; i < F; ++i) {
                        d_weight[a * F + i] += d_unit * value(t, i);
                        d_x[(n * steps + t) * F + i] += d_unit * static_cast<double>(weight[a * F + i]);
                    }
                }
        }
        check(largest_difference(got.out, out) <= tolerance, kind + " pooling");
        check(largest_difference(got.d_x, d_x) <= tolerance, kind + " pooling, gradient of x");
        check(largest_difference(got.d_weight, d_weight) <= tolerance, kind + " pooling, gradient of the weight");
        check(largest_difference(got.d_bias, d_bias) <= tolerance, kind + " pooling, gradient of the bias");
        check(largest_difference(got.d_query, d_query) <= tolerance, kind + " pooling, gradient of the query");

        const double before = set_work_per_thread(1);
        const int cap = set_thread_cap(3);
        const Pooled threaded = pool(kind);
        set_thread_cap(cap);
        set_work_per_thread(before);
        check(same_bits(threaded.out, got.out) && same_bits(threaded.d_x, got.d_x) &&
                  same_bits(threaded.d_weight, got.d_weight) && same_bits(threaded.d_query, got.d_query),
              kind + " pooling depends on threads");
    }
}

/// Sums over steps: close to a plain loop, and the same bits whatever the threads and however the steps are cut.
template <class T, class Draw>
void check_outer(double tolerance, Draw draw) {
    const Functions<T>& f = functions<T>(kernels());
    constexpr index_t first = 37, second = 19, columns = 83, n_blocks = 3, stride = n_blocks * columns + 5;
    constexpr index_t longest = 2 * outer_block + 11, sizes[2] = {first, second};
    const index_t width = kernels().vector_bytes / static_cast<index_t>(sizeof(T));
    std::vector<T> rows[2], b(static_cast<std::size_t>(longest * stride));
    std::vector<const T*> tables[2];
    for (T& x : b) x = static_cast<T>(draw());
    for (int i = 0; i < 2; ++i) {
        rows[i].resize(static_cast<std::size_t>(longest * sizes[i]));
        for (T& x : rows[i]) x = static_cast<T>(draw());
        for (index_t s = 0; s < longest; ++s) tables[i].push_back(rows[i].data() + s * sizes[i]);
    }

    // One block of columns with both operands, one with each; out: both gradients and both biases of each block.
    const auto compute = [&](index_t steps, int threads, const std::vector<index_t>& cuts) {
        constexpr std::size_t room = static_cast<std::size_t>((first + second + 2) * columns);
        std::vector<T> out(n_blocks * room, T(99));
        OuterBlock<T> blocks[n_blocks];
        for (index_t k = 0; k < n_blocks; ++k) {
            T* const at = out.data() + static_cast<std::size_t>(k) * room;
            T* const bias = at + (first + second) * columns;
            blocks[k] = {k * columns,
                         {k == 2 ? nullptr : at, k == 1 ? nullptr : at + first * columns},
                         {k == 2 ? nullptr : bias, k == 1 ? nullptr : bias + columns}};
        }
        OuterArgs<T> args{steps,    true,   true,   {nullptr, nullptr}, {first, second}, nullptr, stride, columns,
                          n_blocks, blocks, nullptr};
        std::vector<T> sums(outer_sums(args, width)), scratch(outer_scratch(args, width));
        args.sums = sums.data();
        index_t end = steps;
        for (std::size_t piece = 0; piece <= cuts.size(); ++piece) {
            const index_t begin = piece < cuts.size() ? cuts[piece] : 0;
            args.steps = end - begin;
            args.begins = end == steps;
            args.ends = begin == 0;
            args.b = b.data() + begin * stride;
            for (int i = 0; i < 2; ++i) args.rows[i] = tables[i].data() + begin;
            for (int thread = 0; thread < threads; ++thread) f.outer(args, thread, threads, scratch.data());
            end = begin;
        }
        return out;
    };

    for (const index_t steps : {index_t{0}, index_t{1}, outer_block, longest}) {
        const std::vector<T> got = compute(steps, 1, {});
        Vector want;
        for (index_t k = 0; k < n_blocks; ++k) {
            for (int i = 0; i < 4; ++i)  // gradients by the two operands, then the two biases
                for (index_t column = 0; column < columns; ++column)
                    for (index_t feature = 0; feature < (i < 2 ? sizes[i] : 1); ++feature) {
                        double sum = 0;
                        for (index_t s = 0; s < steps; ++s)
                            sum += static_cast<double>(b[static_cast<std::size_t>(s * stride + k * columns + column)]) *
                                   (i < 2 ? static_cast<double>(tables[i][static_cast<std::size_t>(s)][feature]) : 1.0);
                        want.push_back(k == (i % 2 == 0 ? 2 : 1) ? 99 : sum);
                    }
        }
        const std::string name = "sums over " + std::to_string(steps) + " steps ";
        check(largest_difference(got, want) <= tolerance, name + "are wrong");
        for (const int threads : {2, 3, 7, 64})
            check(same_bits(got, compute(steps, threads, {})), name + "depend on the number of threads");
        if (steps == longest)
            for (const auto& cuts : std::vector<std::vector<index_t>>{{1}, {longest - 1, 100, 99}, {outer_block}})
                check(same_bits(got, compute(steps, 3, cuts)), name + "depend on how the steps are cut");
    }
}

/// Two steps of each solver on a vector of awkward size, against the same formulas one parameter at a time.
template <class T, class Draw>
void check_solvers(double tolerance, Draw draw) {
    const Functions<T>& f = functions<T>(kernels());
    constexpr std::size_t size = 37, decay_size = 20;
    const double rate = 0.1, momentum = 0.9, beta_1 = 0.8, beta_2 = 0.95, epsilon = 1e-4, decay = 0.03, scale = 0.5;
    const double mu = 0.6, mu_next = 0.7, mu_product = 0.4;
    for (const std::string solver : {"sgd", "nesterov", "adam", "adamw", "nadam", "rmsprop", "adagrad"}) {
        std::vector<T> params(size), grads(size), slot[2] = {std::vector<T>(size), std::vector<T>(size)};
        for (T& x : params) x = static_cast<T>(draw());
        for (T& x : grads) x = static_cast<T>(draw());
        Vector want(params.begin(), params.end()), first(size), second(size);
        for (int step = 1; step <= 2; ++step) {
            const double correction_1 = 1 - std::pow(beta_1, step), correction_2 = 1 - std::pow(beta_2, step);
            const SolverArgs<T> args{static_cast<index_t>(size),
                                     static_cast<index_t>(decay_size),
                                     params.data(),
                                     grads.data(),
                                     {slot[0].data(), slot[1].data()},
                                     scale,
                                     rate,
                                     decay,
                                     momentum,
                                     beta_1,
                                     beta_2,
                                     epsilon,
                                     correction_1,
                                     correction_2,
                                     solver == "nesterov",
                                     mu,
                                     mu_next,
                                     mu_product};
            (solver == "adam"      ? f.adam
             : solver == "adamw"   ? f.adamw
             : solver == "nadam"   ? f.nadam
             : solver == "rmsprop" ? f.rmsprop
             : solver == "adagrad" ? f.adagrad
                                   : f.sgd)(args);
            for (std::size_t i = 0; i < size; ++i) {
                const double l2 = i < decay_size ? decay : 0;
                double g = scale * static_cast<double>(grads[i]);
                if (solver == "adamw")
                    want[i] -= rate * l2 * want[i];
                else
                    g += l2 * want[i];
                if (solver == "adam" || solver == "adamw") {
                    first[i] = beta_1 * first[i] + (1 - beta_1) * g;
                    second[i] = beta_2 * second[i] + (1 - beta_2) * g * g;
                    want[i] -= rate * (first[i] / correction_1) / (std::sqrt(second[i] / correction_2) + epsilon);
                } else if (solver == "nadam") {
                    first[i] = beta_1 * first[i] + (1 - beta_1) * g;
                    second[i] = beta_2 * second[i] + (1 - beta_2) * g * g;
                    const double ahead =
                        (1 - mu) * g / (1 - mu_product) + mu_next * first[i] / (1 - mu_product * mu_next);
                    want[i] -= rate * ahead / (std::sqrt(second[i] / correction_2) + epsilon);
                } else if (solver == "adagrad") {
                    first[i] += g * g;
                    want[i] -= rate * g / (std::sqrt(first[i]) + epsilon);
                } else if (solver == "rmsprop") {
                    first[i] = beta_2 * first[i] + (1 - beta_2) * g * g;
                    second[i] = momentum * second[i] + g / (std::sqrt(first[i]) + epsilon);
                    want[i] -= rate * second[i];
                } else {
                    first[i] = momentum * first[i] + g;
                    want[i] -= rate * (solver == "nesterov" ? g + momentum * first[i] : first[i]);
                }
            }
        }
        const double difference = largest_difference(params, want);
        check(difference <= tolerance, solver + " is off by " + std::to_string(difference));
    }
}

void check_isa(const std::string& isa) {
    use_isa(isa);
    std::printf("%s\n", isa.c_str());
    check_math<float>("float32");
    check_math<double>("float64");

    std::mt19937_64 random(1);
    const auto uniform = [&random] { return 1.6 * static_cast<double>(random() >> 11) * 0x1p-53 - 0.8; };
    const auto integer = [&random] { return static_cast<double>(random() % 3) - 1.0; };
    check_losses(1e-5f, uniform);
    check_losses(1e-13, uniform);
    check_element_losses<float>(1e-5, uniform);
    check_element_losses<double>(1e-13, uniform);
    check_pooling<float>(1e-4, uniform);
    check_pooling<double>(1e-12, uniform);
    check_outer<float>(1e-4, uniform);
    check_outer<double>(1e-13, uniform);
    check_solvers<float>(1e-5, uniform);
    check_solvers<double>(1e-13, uniform);
    const KernelTable& table = kernels();
    for (int k = 0; k < table.n_cells; ++k) {
        const Cell& cell = table.cells[k];
        for (const Activation activation : {Activation::tanh, Activation::relu, Activation::linear})
            for (const Sizes sizes : {Sizes{1, 1, 1, 1}, Sizes{7, 5, 3, 5}, Sizes{4, 3, 17, 33}, Sizes{2, 4, 8, 64}})
                for (const bool reverse : {false, true})
                    for (const bool ragged : {false, true}) {
                        std::vector<std::int64_t> lengths;
                        if (ragged)
                            for (index_t n = 0; n < sizes.rows; ++n) lengths.push_back((3 * n + 2) % (sizes.steps + 1));
                        // Linear cells grow without limit: small weights keep them comparable.
                        const double scale = activation == Activation::tanh ? 1.0 : 0.25;
                        const Problem p =
                            make_problem(cell, activation, sizes, lengths, reverse, [&] { return scale * uniform(); });
                        check_forward<double>(p, 1e-13);
                        check_forward<float>(p, 1e-5);
                        check_rows_alone<float>(p);
                        check_rows_alone<double>(p);
                        if (activation != Activation::relu && sizes.hidden_size <= 5) check_gradients(p);
                        if (activation == Activation::linear && sizes.steps > 1) {
                            const Sizes two{sizes.rows, 2, 3, 5};
                            for (std::int64_t& length : lengths) length = length > 2 ? 2 : length;
                            const Problem exact = make_problem(cell, activation, two, lengths, reverse, integer);
                            check_integers<float>(exact);
                            check_integers<double>(exact);
                        }
                    }
        const std::vector<std::int64_t> some_lengths = {2, 0, 5, 1, 3, 5, 4};
        for (const bool normalizes : {false, true})
            for (const double zoneout : {0.0, 0.3})
                for (const double dropout : {0.0, 0.4}) {
                    const Problem p = regularized(
                        make_problem(cell, Activation::tanh, Sizes{7, 5, 3, 5}, some_lengths, true, uniform),
                        normalizes, zoneout, dropout, uniform);
                    check_gradients(p);
                    if (p.draws_something()) continue;  // each place in the batch then has its own masks
                    check_forward<float>(p, 1e-5);
                    check_forward<double>(p, 1e-13);
                    check_rows_alone<float>(p);
                    check_rows_alone<double>(p);
                }
        const Problem large = make_problem(cell, Activation::tanh, Sizes{13, 9, 90, 110}, {}, false, uniform);
        for (const Problem& p : {large, regularized(large, true, 0.3, 0.4, uniform)}) {
            check_threads<float>(p);
            check_threads<double>(p);
        }
    }
}

}  // namespace

int main() {
    for (const std::string& isa : available_isas()) check_isa(isa);
    std::printf("kernel_check: %d checks, %d failed; built by %s\n", checks, failures, SKRNN_COMPILER);
    return failures == 0 && checks > 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
