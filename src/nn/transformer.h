// The pre-LN transformer block of CLIP and its parts (Vaswani et al. 2017; Radford et al. 2021,
// arXiv:2103.00020):
//   (1)  x <- x + out_proj(attention(q_proj n, k_proj n, v_proj n)),   n = layer_norm1(x)
//   (2)  x <- x + fc2(act(fc1(layer_norm2(x))))
// Names are those of Hugging Face's CLIPModel.
#pragma once

#include <functional>

#include "nn/linear.h"
#include "nn/norm.h"

namespace gmail {

struct Attention {
  Linear q_proj, k_proj, v_proj, out_proj;
  int heads = 1;

  Attention() = default;
  Attention(const std::string& name, int64_t width, int head_count);
  // queries of x (B, Tq, C), keys and values of `from` (B, T, C) -> residual + attention (B, Tq, C)
  [[nodiscard]] Var forward(Tape& tape, const Var& x, const Var& from, const AttentionMask& mask,
                            const Var& residual);
  void each_linear(const std::function<void(Linear&)>& f);
};

struct Mlp {
  Linear fc1, fc2;
  Activation act = Activation::quick_gelu;

  Mlp() = default;
  Mlp(const std::string& name, int64_t width, int64_t hidden, Activation activation_kind);
  [[nodiscard]] Var forward(Tape& tape, const Var& x, const Var& residual);
  void each_linear(const std::function<void(Linear&)>& f);
};

struct Block {
  LayerNorm layer_norm1, layer_norm2;
  Attention self_attn;
  Mlp mlp;

  Block() = default;
  Block(const std::string& name, int64_t width, int heads, int64_t hidden, Activation act, double eps);
  [[nodiscard]] Var forward(Tape& tape, const Var& x, const AttentionMask& mask);
  // The same for one token of each row alone: x (B, T, C), index (B) int32 -> (B, 1, C). Keys and values come
  // from every token, everything else is computed for that one. The mask is that of its query: causal means
  // nothing here, `keys` says what it sees.
  [[nodiscard]] Var forward_row(Tape& tape, const Var& x, const Tensor& index, const AttentionMask& mask);
  void collect(ParamList& params);
  void each_linear(const std::function<void(Linear&)>& f);
  // OpenAI CLIP's scales for a tower of `layers` blocks (clip/model.py, initialize_parameters)
  void init(int64_t layers, uint64_t seed);
};

}  // namespace gmail
