// One optimiser step: clip the gradient of all parameters by its norm, then move them.
#pragma once

#include <string>

#include "dispatch.h"

namespace skrnn {

struct Solver {
    const char* name;
    int n_slots;  // flat vectors it remembers between steps
};

/// Null if there is none of that name.
const Solver* find_solver(const std::string& name);

/// What every solver needs to know, and what only some do.
struct SolverOptions {
    double learning_rate, max_grad_norm, decay;
    index_t decay_size;
    double momentum = 0, beta_1 = 0, beta_2 = 0, epsilon = 0, step = 1;
    bool nesterov = false;
    double mu = 0, mu_next = 0, mu_product = 0;
};

/// Returns the norm before clipping; one that is not finite leaves everything as it was.
template <class T>
double solver_step(const Solver& solver, const SolverOptions& options, index_t size, T* params, const T* grads,
                   T* const* slots);

}  // namespace skrnn
