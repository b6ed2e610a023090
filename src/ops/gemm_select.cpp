#include "ops/gemm_select.h"

#include <type_traits>

#include "core/check.h"
#include "ops/gemm.h"

namespace gmail::cpu {

bool isa_runs(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512)
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
           __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
  if (isa == Isa::avx2) return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#endif
  return isa == Isa::portable;
}

Isa best_isa() {
  static const Isa best = isa_runs(Isa::avx512) ? Isa::avx512
                          : isa_runs(Isa::avx2) ? Isa::avx2
                                                : Isa::portable;
  return best;
}

template <class T>
const GemmKernels<T>& gemm_kernels(Isa isa) {
#if defined(__x86_64__)
  if constexpr (std::is_same_v<T, float>)
    if (isa == Isa::avx512) return gemm_kernels_avx512();
  if (isa != Isa::portable) return gemm_kernels_avx2<T>();
#endif
  GMAIL_CHECK(isa == Isa::portable, "[gemm] no kernels for this instruction set");
  return gemm_kernels_portable<T>();
}

template <class T>
const GemmKernels<T>& gemm_kernels() {
  static const GemmKernels<T>& table = gemm_kernels<T>(best_isa());
  return table;
}

template const GemmKernels<float>& gemm_kernels<float>(Isa);
template const GemmKernels<double>& gemm_kernels<double>(Isa);
template const GemmKernels<float>& gemm_kernels<float>();
template const GemmKernels<double>& gemm_kernels<double>();

}  // namespace gmail::cpu

namespace gmail {

std::string gemm_backend() {
#if GMAIL_CBLAS
  return "cblas";
#else
  return std::string("own ") + cpu::gemm_kernels<float>().name;
#endif
}

}  // namespace gmail
