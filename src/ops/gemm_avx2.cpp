// The matrix product's kernels for AVX2 with fused multiply-add (compiled with its flags, see
// CMakeLists.txt).
#if defined(__x86_64__)
#define GMAIL_VECTOR_BYTES 32
#define GMAIL_TILE_ROWS 6
#include "ops/gemm_kernels.inc"

namespace gmail::cpu {
template <>
const GemmKernels<float>& gemm_kernels_avx2() {
  return kernels<float>("avx2");
}
template <>
const GemmKernels<double>& gemm_kernels_avx2() {
  return kernels<double>("avx2");
}
}  // namespace gmail::cpu
#endif
