// The moving average of the weights (equation: ops/ema.h). Its decay rises, after step k = 0, 1, ..:
//   (1)  d_k = min(decay, (k + 1) / (k + 10))
// The ramp lets a short run forget its random start. The average begins as the initial weights.
#pragma once

#include "io/safetensors.h"
#include "nn/param.h"

namespace gmail {

[[nodiscard]] double ema_decay_at(double decay, int64_t step);

// Gives the parameters the averaged values, by name (see TrainReport::ema).
void apply_ema(const ParamList& params, const std::vector<NamedTensor>& ema);

}  // namespace gmail
