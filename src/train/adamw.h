// AdamW (Loshchilov & Hutter 2019, arXiv:1711.05101, alg. 2), in the form of PyTorch's. For gradient g at
// step t = 1, 2, ..:
//   (1)  p <- p (1 - lr wd)                              for parameters that decay; not scaled by the
//   gradient (2)  m <- b1 m + (1 - b1) g,   v <- b2 v + (1 - b2) g^2 (3)  p <- p - lr / (1 - b1^t) * m /
//   (sqrt(v) / sqrt(1 - b2^t) + eps)
// All float32; the factors are worked out in double.
#pragma once

#include "nn/param_block.h"

namespace gmail {

struct AdamW {
  double weight_decay = 0.01;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
};

// One step number t >= 1 over the whole block; g = grad_scale * the block's gradient (see clip_grad.h).
void adamw_step(ParamBlock& block, const AdamW& options, double lr, int64_t t, double grad_scale = 1);

}  // namespace gmail
