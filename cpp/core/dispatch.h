// Which instruction sets were compiled, which this machine runs, and which one is in force.
#pragma once

#include <string>
#include <vector>

#include "kernel_table.h"

namespace skrnn {

/// In order of preference, least capable first.
std::vector<std::string> compiled_isas();
std::vector<std::string> available_isas();

/// The kernels in force: the most capable available set, or what SKRNN_ISA names, or what use_isa chose.
const KernelTable& kernels();

/// Reads SKRNN_ISA. Throws std::runtime_error naming the valid values when it names something that cannot run here.
void choose_isa_from_environment();

/// Throws std::invalid_argument likewise.
void use_isa(const std::string& name);

template <class T>
const Functions<T>& functions(const KernelTable& table);
template <>
inline const Functions<float>& functions<float>(const KernelTable& table) {
    return table.f32;
}
template <>
inline const Functions<double>& functions<double>(const KernelTable& table) {
    return table.f64;
}

template <class T>
const CellKernels<T>& cell_kernels(const Cell& cell);
template <>
inline const CellKernels<float>& cell_kernels<float>(const Cell& cell) {
    return cell.f32;
}
template <>
inline const CellKernels<double>& cell_kernels<double>(const Cell& cell) {
    return cell.f64;
}

}  // namespace skrnn
