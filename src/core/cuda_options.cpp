#include "core/cuda_options.h"

#include "core/dispatch.h"

namespace gmail {

CudaOptions& cuda_options() {
  static CudaOptions options;
  return options;
}

std::string why_no_cudnn() { return GMAIL_CUDA_OR(why_no_cudnn(), why_no_cuda()); }

std::map<std::string, std::string> cudnn_fallbacks() {
  return GMAIL_CUDA_OR(cudnn_fallbacks(), (std::map<std::string, std::string>()));
}

}  // namespace gmail
