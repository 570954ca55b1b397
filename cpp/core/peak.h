// The yardstick of the benches: what the multiply-add units of this machine can do.
#pragma once

namespace skrnn {

/// 10^9 floating-point operations per second on n threads, with the instruction set in force; takes some milliseconds.
template <class T>
double fma_peak(int n_threads);

}  // namespace skrnn
