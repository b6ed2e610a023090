#include "nn/linear.h"

#include <algorithm>
#include <cmath>

namespace gmail {

Linear::Linear(const std::string& name, int64_t in, int64_t out, bool with_bias)
    : weight(make_param(name + ".weight", {out, in})) {
  if (with_bias) bias = make_param(name + ".bias", {out}, false);
}

LoraVars Linear::on(Tape& tape, const Var& residual) {
  LoraVars vars{weight.on(tape), bias ? bias->on(tape) : Var(), Var(), Var(), 1, residual};
  if (lora) vars.a = lora->a.on(tape), vars.b = lora->b.on(tape), vars.scale = lora->scale;
  return vars;
}

Var Linear::forward(Tape& tape, const Var& x, const Var& residual) {
  if (lora) return lora_linear(tape, x, {on(tape, residual)})[0];  // eq. (1)
  return linear(tape, x, weight.on(tape), bias ? bias->on(tape) : Var(), residual);
}

Vars Linear::forward_all(Tape& tape, const Var& x, const std::vector<Linear*>& layers) {
  Vars ys;
  if (std::none_of(layers.begin(), layers.end(), [](const Linear* l) { return l->lora.has_value(); })) {
    for (Linear* l : layers) ys.push_back(l->forward(tape, x));
    return ys;
  }
  std::vector<LoraVars> vars;
  for (Linear* l : layers) vars.push_back(l->on(tape, Var()));
  return lora_linear(tape, x, vars);
}

Var mlp_forward(Tape& tape, Linear& fc1, Linear& fc2, const Var& x, Activation act, const Var& residual) {
  if (fc1.lora || fc2.lora) return fc2.forward(tape, activation(tape, fc1.forward(tape, x), act), residual);
  const auto bias = [&](Linear& l) { return l.bias ? l.bias->on(tape) : Var(); };
  const Var w1 = fc1.weight.on(tape), b1 = bias(fc1), w2 = fc2.weight.on(tape), b2 = bias(fc2);
  return mlp(tape, x, w1, b1, w2, b2, act, residual);
}

void Linear::collect(ParamList& params) {
  params.push_back(&weight);
  if (bias) params.push_back(&*bias);
  if (lora) params.insert(params.end(), {&lora->a, &lora->b});
}

std::string Linear::path() const {
  return weight.name.substr(0, weight.name.size() - std::string(".weight").size());
}

void Linear::add_lora(int64_t rank, double alpha, uint64_t seed) {
  GMAIL_INPUT(rank >= 1, "[lora] rank must be at least 1, got ", rank);
  weight.trainable = false;
  if (bias) bias->trainable = false;
  const int64_t out = weight.value.size(0), in = weight.value.size(1);
  Lora update{make_param(path() + ".lora_A.weight", {rank, in}),
              make_param(path() + ".lora_B.weight", {out, rank}), alpha / static_cast<double>(rank)};
  init_uniform(update.a, 1 / std::sqrt(static_cast<double>(in)), seed);
  lora = std::move(update);
}

void Linear::merge_lora() {
  if (!lora) return;
  const int64_t out = weight.value.size(0), in = weight.value.size(1), rank = lora->a.value.size(0);
  const Device device = weight.value.device();
  const Tensor A = lora->a.value.to(Device::cpu), B = lora->b.value.to(Device::cpu);
  Tensor merged = device == Device::cpu ? weight.value.clone() : weight.value.to(Device::cpu);
  const float *a = A.data<float>(), *b = B.data<float>();
  float* w = merged.data<float>();
  for (int64_t o = 0; o < out; ++o)
    for (int64_t i = 0; i < in; ++i) {
      double delta = 0;
      for (int64_t k = 0; k < rank; ++k)
        delta += static_cast<double>(b[o * rank + k]) * static_cast<double>(a[k * in + i]);
      w[o * in + i] = static_cast<float>(static_cast<double>(w[o * in + i]) + lora->scale * delta);
    }
  weight.value = merged.to(device);
  weight.value.storage().constant = !weight.trainable;
  lora.reset();
}

}  // namespace gmail
