#include "train/adamw.h"

#include <cmath>

#include "core/parallel_for.h"
#include "ops/simd.h"

namespace gmail {
namespace {

constexpr int64_t kGrain = 1 << 14;

struct Factors {
  float keep, b1, one_minus_b1, b2, one_minus_b2, step, root_correction, eps, grad_scale;
};

void update(float* __restrict p, float* __restrict m, float* __restrict v, const float* __restrict grad,
            int64_t n, const Factors& f) {
  GMAIL_SIMD
  for (int64_t i = 0; i < n; ++i) {
    const float g = grad[i] * f.grad_scale;
    m[i] = f.b1 * m[i] + f.one_minus_b1 * g;                                               // (2)
    v[i] = f.b2 * v[i] + f.one_minus_b2 * (g * g);                                         // (2)
    p[i] = p[i] * f.keep - f.step * m[i] / (std::sqrt(v[i]) * f.root_correction + f.eps);  // (1), (3)
  }
}

}  // namespace

void adamw_step(ParamBlock& block, const AdamW& o, double lr, int64_t t, double grad_scale) {
  GMAIL_CHECK(t >= 1, "[adamw] the first step is 1, got ", t);
  GMAIL_CHECK(o.eps > 0, "[adamw] eps must be positive, got ", o.eps);
  const auto f = [](double x) { return static_cast<float>(x); };
  const auto time = static_cast<double>(t);
  const double correction1 = 1 - std::pow(o.beta1, time), correction2 = 1 - std::pow(o.beta2, time);
  Factors factors{.keep = 1,
                  .b1 = f(o.beta1),
                  .one_minus_b1 = f(1 - o.beta1),
                  .b2 = f(o.beta2),
                  .one_minus_b2 = f(1 - o.beta2),
                  .step = f(lr / correction1),
                  .root_correction = f(1 / std::sqrt(correction2)),
                  .eps = f(o.eps),
                  .grad_scale = f(grad_scale)};
  const auto size = static_cast<int64_t>(block.values().size());
  const auto pass = [&](int64_t from, int64_t to) {
    parallel_for(to - from, kGrain, [&](int64_t begin, int64_t end) {
      const int64_t at = from + begin;
      update(block.values().data() + at, block.first_moment().data() + at, block.second_moment().data() + at,
             block.grads().data() + at, end - begin, factors);
    });
  };
  factors.keep = f(1 - lr * o.weight_decay);
  pass(0, block.decayed());
  factors.keep = 1;
  pass(block.decayed(), size);
}

}  // namespace gmail
