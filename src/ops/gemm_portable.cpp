// The matrix product's kernels in 128-bit vectors, which every processor that we know of has in some form.
#define GMAIL_VECTOR_BYTES 16
#define GMAIL_TILE_ROWS 4
#include "ops/gemm_kernels.inc"

namespace gmail::cpu {
template <>
const GemmKernels<float>& gemm_kernels_portable() {
  return kernels<float>("portable");
}
template <>
const GemmKernels<double>& gemm_kernels_portable() {
  return kernels<double>("portable");
}
}  // namespace gmail::cpu
