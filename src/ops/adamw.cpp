#include "ops/adamw.h"

#include <cmath>
#include <cstring>

#include "core/parallel_for.h"
#include "ops/simd.h"

namespace gmail {

int64_t adamw_size(const Tensor& p, const Tensor& m, const Tensor& v, const Tensor& grads,
                   const Tensor& scale, const Tensor& factors, int64_t decayed) {
  const int64_t n = p.numel();
  for (const Tensor* t : {&p, &m, &v, &grads})
    GMAIL_CHECK(t->numel() == n && t->dtype() == DType::float32, "[adamw] expected ", n, " of float32, got ",
                t->shape(), " of ", name_of(t->dtype()));
  GMAIL_CHECK(scale.numel() == 1 && factors.numel() == kAdamWFactors, "[adamw] scale ", scale.shape(),
              ", factors ", factors.shape(), ": expected (1) and (", kAdamWFactors, ")");
  GMAIL_CHECK(0 <= decayed && decayed <= n, "[adamw] ", decayed, " of ", n, " elements decay");
  return n;
}

namespace cpu {
namespace {

void update(float* __restrict p, float* __restrict m, float* __restrict v, const float* __restrict grad,
            int64_t n, const AdamWFactors& f, float scale) {
  GMAIL_SIMD
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] * scale;
    m[i] = f.b1 * m[i] + f.one_minus_b1 * g;                                               // (2)
    v[i] = f.b2 * v[i] + f.one_minus_b2 * (g * g);                                         // (2)
    p[i] = p[i] * f.keep - f.step * m[i] / (std::sqrt(v[i]) * f.root_correction + f.eps);  // (1), (3)
  }
}

}  // namespace

void adamw(Tensor& p, Tensor& m, Tensor& v, const Tensor& grads, const Tensor& scale, const Tensor& factors,
           int64_t decayed) {
  constexpr int64_t kGrain = 1 << 14;
  const int64_t size = adamw_size(p, m, v, grads, scale, factors, decayed);
  const float s = *scale.data<float>();
  if (std::isnan(s)) return;
  AdamWFactors f{};
  std::memcpy(&f, factors.data<float>(), sizeof f);
  const auto pass = [&](int64_t from, int64_t to) {
    parallel_for(to - from, kGrain, [&](int64_t begin, int64_t end) {
      const int64_t at = from + begin;
      update(p.data<float>() + at, m.data<float>() + at, v.data<float>() + at, grads.data<float>() + at,
             end - begin, f, s);
    });
  };
  pass(0, decayed);
  f.keep = 1;
  pass(decayed, size);
}

}  // namespace cpu
}  // namespace gmail
