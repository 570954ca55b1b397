#include "solver.h"

#include <cmath>

namespace skrnn {
namespace {

constexpr Solver solvers[] = {{"sgd", 1}, {"adam", 2}, {"adamw", 2}, {"nadam", 2}, {"rmsprop", 2}, {"adagrad", 1}};

template <class T>
auto kernel_of(const Solver& solver, const Functions<T>& f) {
    const std::string name = solver.name;
    return name == "sgd"       ? f.sgd
           : name == "adam"    ? f.adam
           : name == "adamw"   ? f.adamw
           : name == "nadam"   ? f.nadam
           : name == "rmsprop" ? f.rmsprop
                               : f.adagrad;
}

}  // namespace

const Solver* find_solver(const std::string& name) {
    for (const Solver& solver : solvers)
        if (name == solver.name) return &solver;
    return nullptr;
}

template <class T>
double solver_step(const Solver& solver, const SolverOptions& options, index_t size, T* params, const T* grads,
                   T* const* slots) {
    const Functions<T>& f = functions<T>(kernels());
    const double norm = std::sqrt(f.sum_of_squares(grads, size));
    if (!std::isfinite(norm)) return norm;
    SolverArgs<T> args{};
    args.size = size;
    args.decay_size = options.decay_size;
    args.params = params;
    args.grads = grads;
    for (int i = 0; i < solver.n_slots; ++i) args.slot[i] = slots[i];
    args.scale = norm > options.max_grad_norm ? options.max_grad_norm / norm : 1.0;
    args.learning_rate = options.learning_rate;
    args.decay = options.decay;
    args.momentum = options.momentum;
    args.beta_1 = options.beta_1;
    args.beta_2 = options.beta_2;
    args.epsilon = options.epsilon;
    args.correction_1 = 1 - std::pow(options.beta_1, options.step);
    args.correction_2 = 1 - std::pow(options.beta_2, options.step);
    args.nesterov = options.nesterov;
    args.mu = options.mu;
    args.mu_next = options.mu_next;
    args.mu_product = options.mu_product;
    kernel_of(solver, f)(args);
    return norm;
}

template double solver_step<float>(const Solver&, const SolverOptions&, index_t, float*, const float*, float* const*);
template double solver_step<double>(const Solver&, const SolverOptions&, index_t, double*, const double*,
                                    double* const*);

}  // namespace skrnn
