#include "train/adamw.h"

#include <cmath>

namespace gmail {

AdamWFactors adamw_factors(const AdamW& o, double lr, int64_t t) {
  GMAIL_CHECK(t >= 1, "[adamw] the first step is 1, got ", t);
  GMAIL_CHECK(o.eps > 0, "[adamw] eps must be positive, got ", o.eps);
  const auto f = [](double x) { return static_cast<float>(x); };
  const auto time = static_cast<double>(t);
  const double correction1 = 1 - std::pow(o.beta1, time), correction2 = 1 - std::pow(o.beta2, time);
  return {.keep = f(1 - lr * o.weight_decay),
          .b1 = f(o.beta1),
          .one_minus_b1 = f(1 - o.beta1),
          .b2 = f(o.beta2),
          .one_minus_b2 = f(1 - o.beta2),
          .step = f(lr / correction1),
          .root_correction = f(1 / std::sqrt(correction2)),
          .eps = f(o.eps)};
}

}  // namespace gmail
