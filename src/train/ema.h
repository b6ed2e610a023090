// Exponential moving average of the weights (Polyak & Juditsky 1992), after step k = 0, 1, ..:
//   (1)  e <- d_k e + (1 - d_k) p,   d_k = min(decay, (k + 1) / (k + 10))
// The ramp lets a short run forget its random start. e begins as the initial weights.
#pragma once

#include "nn/param_block.h"

namespace gmail {

[[nodiscard]] double ema_decay_at(double decay, int64_t step);

void update_ema(ParamBlock& block, double decay, int64_t step);

// Gives the parameters the averaged values, by name (see TrainReport::ema).
void apply_ema(const ParamList& params, const std::vector<NamedTensor>& ema);

}  // namespace gmail
