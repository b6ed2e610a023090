// The settings of AdamW (equations: ops/adamw.h), and what they come to at one step.
#pragma once

#include "ops/adamw.h"

namespace gmail {

struct AdamW {
  double weight_decay = 0.01;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
};

// step number t >= 1, in double and then rounded
[[nodiscard]] AdamWFactors adamw_factors(const AdamW& options, double lr, int64_t t);

}  // namespace gmail
