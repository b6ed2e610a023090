// Convolution layer, channels last: x (B, H, W, in) -> (B, H', W', out). The weight has the checkpoints'
// layout (out, in, k, k). Equations: ops/conv2d.h.
#pragma once

#include <optional>

#include "autograd/functions.h"
#include "nn/init.h"

namespace gmail {

struct Conv {
  Param weight;               // (out, in, k, k)
  std::optional<Param> bias;  // (out)
  int stride = 1, pad = 0;

  Conv() = default;
  Conv(const std::string& name, int64_t in, int64_t out, int64_t k, int s, int p, bool with_bias = true)
      : weight(make_param(name + ".weight", {out, in, k, k})), stride(s), pad(p) {
    if (with_bias) bias = make_param(name + ".bias", {out}, false);
  }
  [[nodiscard]] Var forward(Tape& tape, const Var& x) {
    return conv2d(tape, x, weight.on(tape), bias ? bias->on(tape) : Var(), stride, pad);
  }
  void collect(ParamList& params) {
    params.push_back(&weight);
    if (bias) params.push_back(&*bias);
  }
};

}  // namespace gmail
