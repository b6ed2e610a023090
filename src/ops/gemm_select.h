// Which table of kernels this process uses: the widest that the processor can run.
#pragma once

#include "ops/gemm_kernels.h"

namespace gmail::cpu {

enum class Isa : uint8_t { portable, avx2, avx512 };

[[nodiscard]] bool isa_runs(Isa isa);
[[nodiscard]] Isa best_isa();
// The tables of `isa`; for the tests. Products use best_isa().
template <class T>
[[nodiscard]] const GemmKernels<T>& gemm_kernels(Isa isa);
template <class T>
[[nodiscard]] const GemmKernels<T>& gemm_kernels();

}  // namespace gmail::cpu
