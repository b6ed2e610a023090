// Linear layer y = x W^T + b, with an optional LoRA update (Hu et al. 2021, arXiv:2106.09685, eq. 3):
//   (1)  y = x W^T + b + (alpha / r) (x A^T) B^T,    W frozen,   A (r, in) random,   B (out, r) = 0 at the
//     start
// so that at step 0 the layer is exactly its base. merge() puts (alpha / r) B A into a copy of W for
// inference.
#pragma once

#include <optional>

#include "autograd/functions.h"
#include "nn/init.h"

namespace gmail {

struct Lora {
  Param a, b;        // (r, in), (out, r)
  double scale = 1;  // alpha / r
};

struct Linear {
  Param weight;               // (out, in)
  std::optional<Param> bias;  // (out)
  std::optional<Lora> lora;

  Linear() = default;
  Linear(const std::string& name, int64_t in, int64_t out, bool with_bias = true);

  // x (..., in) -> (..., out); residual (..., out) is added if given
  [[nodiscard]] Var forward(Tape& tape, const Var& x, const Var& residual = Var());
  // one input for several layers, as q, k and v: if any has an update they are one op, which reads x once
  [[nodiscard]] static Vars forward_all(Tape& tape, const Var& x, const std::vector<Linear*>& layers);
  void collect(ParamList& params);  // weight, bias, then the LoRA matrices

  [[nodiscard]] std::string path() const;  // the name without ".weight"
  // A from U(-1/sqrt(in), 1/sqrt(in)) (PEFT's kaiming_uniform with a = sqrt 5), B zero. Freezes weight and
  // bias.
  void add_lora(int64_t rank, double alpha, uint64_t seed);
  void merge_lora();  // weight += scale B A in float64, rounded once; the LoRA matrices go

 private:
  [[nodiscard]] LoraVars on(Tape& tape, const Var& residual);
};

// fc2(act(fc1(x))) + residual; one op if neither layer has a LoRA update
[[nodiscard]] Var mlp_forward(Tape& tape, Linear& fc1, Linear& fc2, const Var& x, Activation act,
                              const Var& residual);

}  // namespace gmail
