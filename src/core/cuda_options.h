// How the CUDA backend computes what it can compute in several ways. One set for the process, chosen before
// the work begins (--conv, --attention, --tf32); the results agree within the tolerances of the tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace gmail {

enum class ConvEngine : uint8_t { own, cudnn };              // implicit GEMM, or cuDNN's graphs
enum class AttentionEngine : uint8_t { own, cudnn, naive };  // tensor-core tiles, cuDNN's, or a warp a row

struct CudaOptions {
  ConvEngine conv = ConvEngine::own;
  AttentionEngine attention = AttentionEngine::own;
  bool tf32 = false;  // float32 matrix products may round their inputs to TF32's 10 bits
};

[[nodiscard]] CudaOptions& cuda_options();

// The two below, in every build.
[[nodiscard]] std::string why_no_cudnn();
[[nodiscard]] std::map<std::string, std::string> cudnn_fallbacks();

namespace cuda {
[[nodiscard]] std::string why_no_cudnn();  // "" if this build and machine have a cuDNN that can be used
// What our own kernels did although cuDNN was asked for, and why: "attention forward B 2 .." -> "..".
[[nodiscard]] std::map<std::string, std::string> cudnn_fallbacks();
}  // namespace cuda

}  // namespace gmail
