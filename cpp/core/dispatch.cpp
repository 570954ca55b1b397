#include "dispatch.h"

#include <atomic>
#include <cstdlib>
#include <stdexcept>

namespace skrnn {

#define X(isa)                                  \
    namespace isa {                             \
    extern const KernelTable& table() noexcept; \
    }
SKRNN_FOR_EACH_ISA(X)
#undef X

namespace {

struct Isa {
    const char* name;
    const KernelTable& (*table)() noexcept;
};

const Isa isas[] = {
#define X(isa) {#isa, isa::table},
    SKRNN_FOR_EACH_ISA(X)
#undef X
};

/// __builtin_cpu_supports asks both the processor and, through XGETBV, whether the system saves the wide registers.
bool runs_here(const std::string& name) {
#if defined(__x86_64__)
    if (name == "avx2") return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (name == "avx512")
        return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
               __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl") &&
               __builtin_cpu_supports("fma");
#endif
    return name == "baseline" || name == "neon";
}

std::atomic<const KernelTable*> in_force{nullptr};

std::string join(const std::vector<std::string>& words) {
    std::string text;
    for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
    return text;
}

/// Empty if `name` can be put in force, else what is wrong with it.
std::string put_in_force(const std::string& name) {
    for (const Isa& isa : isas)
        if (name == isa.name) {
            if (!runs_here(name))
                return "instruction set '" + name +
                       "' does not run on this processor; available: " + join(available_isas());
            in_force.store(&isa.table());
            return "";
        }
    return "unknown instruction set '" + name + "'; compiled into this build: " + join(compiled_isas()) +
           "; available here: " + join(available_isas());
}

}  // namespace

std::vector<std::string> compiled_isas() {
    std::vector<std::string> names;
    for (const Isa& isa : isas) names.emplace_back(isa.name);
    return names;
}

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (const Isa& isa : isas)
        if (runs_here(isa.name)) names.emplace_back(isa.name);
    return names;
}

const KernelTable& kernels() {
    const KernelTable* table = in_force.load(std::memory_order_acquire);
    if (table == nullptr) {
        choose_isa_from_environment();
        table = in_force.load();
    }
    return *table;
}

void choose_isa_from_environment() {
    const char* const wish = std::getenv("SKRNN_ISA");
    if (wish == nullptr || *wish == '\0') {
        const std::string error = put_in_force(available_isas().back());
        if (!error.empty()) throw std::runtime_error(error);
        return;
    }
    const std::string error = put_in_force(wish);
    if (!error.empty()) throw std::runtime_error("SKRNN_ISA: " + error);
}

void use_isa(const std::string& name) {
    const std::string error = put_in_force(name);
    if (!error.empty()) throw std::invalid_argument(error);
}

}  // namespace skrnn
