#include <iostream>

#include "cli/program.h"
#include "core/cuda_options.h"
#include "core/device_memory.h"

namespace gmail::cli {

Context make_context(const Common& common) {
  const std::string missing = why_no_cuda();
  GMAIL_INPUT(common.device != "cuda" || missing.empty(), "--device cuda: ", missing);
  const std::string refused = common.device == "auto" ? why_not_cuda_by_default() : "";
  const bool cuda = common.device == "cuda" || (common.device == "auto" && refused.empty());
  if (common.device == "auto" && has_cuda_backend() && !refused.empty())
    std::cerr << "device: cpu (" << refused << ")\n";
  GMAIL_INPUT(cuda || common.precision == "fp32", "--precision ", common.precision,
              ": the CPU computes in float32; bfloat16 needs --device cuda",
              cuda || missing.empty() ? "" : ": ", missing);
  if (!cuda) return {};
  const std::string no_cudnn = why_no_cudnn();
  GMAIL_INPUT(common.conv != "cudnn" || no_cudnn.empty(), "--conv cudnn: ", no_cudnn);
  GMAIL_INPUT(common.attention != "cudnn" || no_cudnn.empty(), "--attention cudnn: ", no_cudnn);
  const bool automatic = common.conv == "auto" && no_cudnn.empty() && why_not_cuda_by_default().empty();
  cuda_options().conv = common.conv == "cudnn" || automatic ? ConvEngine::cudnn : ConvEngine::own;
  cuda_options().attention = common.attention == "cudnn"   ? AttentionEngine::cudnn
                             : common.attention == "naive" ? AttentionEngine::naive
                                                           : AttentionEngine::own;
  cuda_options().tf32 = common.tf32;
  return make_cuda_context(common.precision == "bf16" ? DType::bfloat16 : DType::float32);
}

}  // namespace gmail::cli
