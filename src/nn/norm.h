// Normalisation layers with their gain and bias. Equations: ops/layer_norm.h, ops/group_norm.h.
#pragma once

#include "autograd/functions.h"
#include "nn/init.h"

namespace gmail {

struct Norm {
  Param weight, bias;  // (C)
  double eps = 1e-5;

  Norm() = default;
  Norm(const std::string& name, int64_t channels, double epsilon = 1e-5)
      : weight(make_param(name + ".weight", {channels}, false)),
        bias(make_param(name + ".bias", {channels}, false)),
        eps(epsilon) {
    weight.value.fill(1);
  }
  void collect(ParamList& params) { params.insert(params.end(), {&weight, &bias}); }
};

struct LayerNorm : Norm {
  using Norm::Norm;
  [[nodiscard]] Var forward(Tape& tape, const Var& x) {
    return layer_norm(tape, x, weight.on(tape), bias.on(tape), eps);
  }
};

struct GroupNorm : Norm {
  int groups = 32;
  GroupNorm() = default;
  GroupNorm(const std::string& name, int64_t channels, int group_count, double epsilon)
      : Norm(name, channels, epsilon), groups(group_count) {}
  // with silu: silu(group_norm(x)), the pair that every ResBlock needs, in one pass
  [[nodiscard]] Var forward(Tape& tape, const Var& x, bool silu = false) {
    return group_norm(tape, x, weight.on(tape), bias.on(tape), groups, eps, silu);
  }
};

}  // namespace gmail
