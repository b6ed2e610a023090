// The matrix product's kernels for AVX-512 (compiled with its flags, see CMakeLists.txt).
#if defined(__x86_64__)
#define GMAIL_VECTOR_BYTES 64
#define GMAIL_TILE_ROWS 12
#include "ops/gemm_kernels.inc"

namespace gmail::cpu {
const GemmKernels<float>& gemm_kernels_avx512() { return kernels<float>("avx512"); }
}  // namespace gmail::cpu
#endif
