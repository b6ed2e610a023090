#include "core/context.h"

#include "core/dispatch.h"

namespace gmail {

Context make_cuda_context(DType precision) {
  const std::string missing = why_no_cuda();
  GMAIL_CHECK(missing.empty(), missing);
  return {Device::cuda, GMAIL_CUDA_OR(make_stream(), Stream{}), precision,
          std::make_shared<Arena>(Device::cuda)};
}

}  // namespace gmail
