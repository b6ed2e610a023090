// How the CUDA backend computes what it can compute in several ways. One set for the process, chosen before
// the work begins (--conv, --attention, --tf32); the results agree within the tolerances of the tests.
#pragma once

#include <cstdint>

namespace gmail {

enum class ConvEngine : uint8_t { own, cudnn };              // implicit GEMM, or cuDNN's graphs
enum class AttentionEngine : uint8_t { own, cudnn, naive };  // tensor-core tiles, cuDNN's, or a warp a row

struct CudaOptions {
  ConvEngine conv = ConvEngine::own;
  AttentionEngine attention = AttentionEngine::own;
  bool tf32 = false;  // float32 matrix products may round their inputs to TF32's 10 bits
};

[[nodiscard]] CudaOptions& cuda_options();

}  // namespace gmail
