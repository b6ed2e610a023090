#include "nn/transformer.h"

#include <cmath>

namespace gmail {

Attention::Attention(const std::string& name, int64_t width, int head_count)
    : q_proj(name + ".q_proj", width, width),
      k_proj(name + ".k_proj", width, width),
      v_proj(name + ".v_proj", width, width),
      out_proj(name + ".out_proj", width, width),
      heads(head_count) {
  GMAIL_INPUT(heads >= 1 && width % heads == 0, "[attention] ", heads, " heads do not divide width ", width);
}

Var Attention::forward(Tape& tape, const Var& x, const Var& from, const AttentionMask& mask,
                       const Var& residual) {
  const bool self = x.id == from.id && x.value.raw() == from.value.raw() && x.shape() == from.shape();
  Vars qkv;
  if (self) {
    qkv = Linear::forward_all(tape, x, {&q_proj, &k_proj, &v_proj});
  } else {
    const Var q = q_proj.forward(tape, x);
    qkv = Linear::forward_all(tape, from, {&k_proj, &v_proj});
    qkv.insert(qkv.begin(), q);
  }
  return out_proj.forward(tape, attention(tape, qkv[0], qkv[1], qkv[2], heads, mask), residual);  // eq. (1)
}

void Attention::each_linear(const std::function<void(Linear&)>& f) {
  for (Linear* l : {&q_proj, &k_proj, &v_proj, &out_proj}) f(*l);
}

Mlp::Mlp(const std::string& name, int64_t width, int64_t hidden, Activation activation_kind)
    : fc1(name + ".fc1", width, hidden), fc2(name + ".fc2", hidden, width), act(activation_kind) {}

Var Mlp::forward(Tape& tape, const Var& x, const Var& residual) {
  return mlp_forward(tape, fc1, fc2, x, act, residual);  // eq. (2)
}

void Mlp::each_linear(const std::function<void(Linear&)>& f) {
  f(fc1);
  f(fc2);
}

Block::Block(const std::string& name, int64_t width, int heads, int64_t hidden, Activation act, double eps)
    : layer_norm1(name + ".layer_norm1", width, eps),
      layer_norm2(name + ".layer_norm2", width, eps),
      self_attn(name + ".self_attn", width, heads),
      mlp(name + ".mlp", width, hidden, act) {}

Var Block::forward(Tape& tape, const Var& x, const AttentionMask& mask) {
  const Var n = layer_norm1.forward(tape, x);
  const Var attended = self_attn.forward(tape, n, n, mask, x);
  return mlp.forward(tape, layer_norm2.forward(tape, attended), attended);
}

// Each row() is recorded before what else reads its argument, so its gradient comes last and is added to one
// token of a tensor that is written already.
Var Block::forward_row(Tape& tape, const Var& x, const Tensor& index, const AttentionMask& mask) {
  const auto row = [&](const Var& all) {
    return reshape(tape, gather_rows(tape, all, index), {x.size(0), 1, x.size(2)});
  };
  const Var residual = row(x), n = layer_norm1.forward(tape, x);
  const Var attended = self_attn.forward(tape, row(n), n, mask, residual);
  return mlp.forward(tape, layer_norm2.forward(tape, attended), attended);
}

void Block::collect(ParamList& params) {
  layer_norm1.collect(params);
  self_attn.each_linear([&](Linear& l) { l.collect(params); });
  layer_norm2.collect(params);
  mlp.each_linear([&](Linear& l) { l.collect(params); });
}

void Block::each_linear(const std::function<void(Linear&)>& f) {
  self_attn.each_linear(f);
  mlp.each_linear(f);
}

void Block::init(int64_t layers, uint64_t seed) {
  const auto width = static_cast<double>(self_attn.q_proj.weight.value.size(0));
  const double residual = 1 / std::sqrt(width * 2 * static_cast<double>(layers));
  for (Linear* l : {&self_attn.q_proj, &self_attn.k_proj, &self_attn.v_proj})
    init_normal(l->weight, 1 / std::sqrt(width), seed);
  init_normal(self_attn.out_proj.weight, residual, seed);
  init_normal(mlp.fc1.weight, 1 / std::sqrt(2 * width), seed);
  init_normal(mlp.fc2.weight, residual, seed);
}

}  // namespace gmail
