#include "ops/ema.h"

#include "core/parallel_for.h"
#include "ops/simd.h"

namespace gmail {

int64_t ema_size(const Tensor& e, const Tensor& p, const Tensor& factors) {
  GMAIL_CHECK(e.numel() == p.numel() && e.dtype() == DType::float32 && p.dtype() == DType::float32,
              "[ema] an average ", e.shape(), " of ", name_of(e.dtype()), " for parameters ", p.shape(),
              " of ", name_of(p.dtype()));
  GMAIL_CHECK(factors.numel() == 2, "[ema] factors ", factors.shape(), ", expected (2)");
  return e.numel();
}

namespace cpu {

void ema(Tensor& average, const Tensor& values, const Tensor& factors) {
  const float keep = factors.data<float>()[0], take = factors.data<float>()[1];
  parallel_for(ema_size(average, values, factors), 1 << 14, [&](int64_t begin, int64_t end) {
    float* __restrict e = average.data<float>();
    const float* __restrict p = values.data<float>();
    GMAIL_SIMD
    for (int64_t i = begin; i < end; ++i) e[i] = keep * e[i] + take * p[i];
  });
}

}  // namespace cpu
}  // namespace gmail
