// The trainable parameters of a run, laid out flat: one contiguous float32 block each for values, gradients,
// Adam's two moments and, if asked for, the moving average. The parameters' `value` and `slot.grad` become
// views into the blocks, so that norm, clipping, optimiser and checkpoint are loops over flat spans.
// Parameters that decay come first. Each begins at a multiple of 64 bytes; the padding between them is zero
// and stays zero.
#pragma once

#include <vector>

#include "io/safetensors.h"
#include "nn/param.h"

namespace gmail {

class ParamBlock {
 public:
  // Takes the trainable ones among `params` to the device; names must differ. The frozen ones stay as they
  // are.
  explicit ParamBlock(const ParamList& params, bool with_ema = false, Device device = Device::cpu);

  [[nodiscard]] const ParamList& params() const { return params_; }  // the trainable ones, in the given order
  [[nodiscard]] int64_t count() const { return count_; }             // their elements, without padding
  [[nodiscard]] int64_t decayed() const { return decayed_; }  // elements [0, decayed()) get weight decay
  [[nodiscard]] bool has_ema() const { return ema_.defined(); }

  // (padded size) float32
  [[nodiscard]] Tensor& values() { return values_; }
  [[nodiscard]] Tensor& grads() { return grads_; }
  [[nodiscard]] Tensor& first_moment() { return m_; }
  [[nodiscard]] Tensor& second_moment() { return v_; }
  [[nodiscard]] Tensor& ema() { return ema_; }  // absent without one

  void zero_grad();                       // the next contribution to each gradient overwrites it
  void settle_grads(const Context& ctx);  // a gradient that nobody wrote since zero_grad() becomes zero
  void release_grads();                   // forgets the gradients of the parameters, when training is over

  // Views by name: values "value.NAME", moments "m.NAME" and "v.NAME", moving average "ema.NAME".
  [[nodiscard]] std::vector<NamedTensor> state() const;
  // The moving average under the parameters' own names; empty without one.
  [[nodiscard]] std::vector<NamedTensor> ema_tensors() const;

 private:
  [[nodiscard]] Tensor view(const Tensor& block, size_t i) const;
  ParamList params_;
  std::vector<int64_t> begin_;  // of each parameter in the blocks
  int64_t count_ = 0, decayed_ = 0;
  Tensor values_, grads_, m_, v_, ema_;  // (padded size) float32
};

}  // namespace gmail
