#include "ops/clamp.h"

#include <algorithm>

namespace gmail::cpu {

void clamp(Tensor& x, double low, double high) {
  for (float& v : x.span<float>()) v = std::clamp(v, static_cast<float>(low), static_cast<float>(high));
}

}  // namespace gmail::cpu
