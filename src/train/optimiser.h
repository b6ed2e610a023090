// The optimiser's part of a training step, on the context's device: norm of the gradients, clipping, AdamW,
// moving average. Nothing in it waits for the device.
//
//   optimiser.zero_grad();
//   .. backward ..
//   optimiser.update(lr, k);      // step k = 0, 1, ..
//   optimiser.average();          // after what changes the values besides
#pragma once

#include "core/context.h"
#include "nn/param_block.h"
#include "train/adamw.h"

namespace gmail {

struct OptimiserOptions {
  AdamW adamw;
  double clip = 0;       // largest global norm of the gradient; 0 = off
  double ema_decay = 0;  // 0 = no moving average
};

class Optimiser {
 public:
  // Takes the trainable parameters to the device of the context.
  Optimiser(const Context& ctx, const ParamList& params, const OptimiserOptions& options);

  [[nodiscard]] ParamBlock& block() { return block_; }
  [[nodiscard]] const ParamBlock& block() const { return block_; }
  void zero_grad() { block_.zero_grad(); }
  void update(double lr, int64_t step);
  void average();
  // Of the last update, before clipping, (1) float64. If it was not finite, that update and all later ones
  // changed nothing.
  [[nodiscard]] const Tensor& norm() const { return norm_; }

 private:
  Context ctx_;
  OptimiserOptions options_;
  ParamBlock block_;
  Tensor norm_, scale_;  // ops/grad_norm.h
  Tensor factors_;       // of this step: AdamW's, and the two of the moving average
};

}  // namespace gmail
