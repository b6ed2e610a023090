#include "core/cuda_options.h"

namespace gmail {

CudaOptions& cuda_options() {
  static CudaOptions options;
  return options;
}

}  // namespace gmail
