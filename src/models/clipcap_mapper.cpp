#include "models/clipcap_mapper.h"

#include <cmath>

namespace gmail {
namespace {

void init_linear(Linear& l, uint64_t seed) {  // PyTorch's default
  init_uniform(l.weight, 1 / std::sqrt(static_cast<double>(l.weight.value.size(1))), seed);
}

}  // namespace

MlpMapper::MlpMapper(const ClipCapConfig& c)
    : in("clip_project.model.0", c.clip_dim, c.gpt.n_embd * c.prefix_length / 2),
      out("clip_project.model.2", c.gpt.n_embd * c.prefix_length / 2, c.gpt.n_embd * c.prefix_length) {}

Var MlpMapper::forward(Tape& tape, const Var& e) {
  return out.forward(tape, activation(tape, in.forward(tape, e), Activation::tanh));
}

void MlpMapper::collect(ParamList& params) {
  in.collect(params);
  out.collect(params);
}

void MlpMapper::init(uint64_t seed) {
  for (Linear* l : {&in, &out}) init_linear(*l, seed);
}

MapperBlock::MapperBlock(const std::string& name, int64_t width, int head_count)
    : norm1(name + ".norm1", width),
      norm2(name + ".norm2", width),
      to_queries(name + ".attn.to_queries", width, width, false),
      to_keys_values(name + ".attn.to_keys_values", width, 2 * width, false),
      project(name + ".attn.project", width, width),
      fc1(name + ".mlp.fc1", width, 2 * width),
      fc2(name + ".mlp.fc2", 2 * width, width),
      heads(head_count) {
  GMAIL_INPUT(heads >= 1 && width % heads == 0, "[clipcap] ", heads, " heads of the mapper do not divide ",
              width);
}

Var MapperBlock::forward(Tape& tape, const Var& x) {
  const int64_t C = x.size(-1);
  const Var n = norm1.forward(tape, x), q = to_queries.forward(tape, n);
  const Var kv = to_keys_values.forward(tape, n);  // (B, T, 2C)
  const Var mixed = attention(tape, q, slice(tape, kv, 2, 0, C), slice(tape, kv, 2, C, 2 * C), heads);
  const Var attended = project.forward(tape, mixed, x);
  return mlp_forward(tape, fc1, fc2, norm2.forward(tape, attended), Activation::relu, attended);
}

void MapperBlock::each_linear(const std::function<void(Linear&)>& f) {
  for (Linear* l : {&to_queries, &to_keys_values, &project, &fc1, &fc2}) f(*l);
}

void MapperBlock::collect(ParamList& params) {
  norm1.collect(params);
  norm2.collect(params);
  each_linear([&](Linear& l) { l.collect(params); });
}

TransformerMapper::TransformerMapper(const ClipCapConfig& c)
    : linear("clip_project.linear", c.clip_dim, c.clip_length * c.gpt.n_embd),
      prefix_const(make_param("clip_project.prefix_const", {c.prefix_length, c.gpt.n_embd})),
      clip_length(c.clip_length) {
  for (int64_t i = 0; i < c.mapper_layers; ++i)
    layers.emplace_back("clip_project.transformer.layers." + std::to_string(i), c.gpt.n_embd, c.mapper_heads);
}

Var TransformerMapper::forward(Tape& tape, const Var& e) {
  const int64_t B = e.size(0), k = prefix_const.value.size(0), C = prefix_const.value.size(1);
  const Var image = reshape(tape, linear.forward(tape, e), {B, clip_length, C});
  const Var constants = add(tape, Var(tape.ctx().zeros({B, k, C}, e.dtype())), prefix_const.on(tape));
  Var x = concat(tape, {image, constants}, 1);
  for (MapperBlock& block : layers) x = block.forward(tape, x);
  return slice(tape, x, 1, clip_length, clip_length + k);
}

void TransformerMapper::collect(ParamList& params) {
  linear.collect(params);
  params.push_back(&prefix_const);
  for (MapperBlock& block : layers) block.collect(params);
}

void TransformerMapper::init(uint64_t seed) {
  init_linear(linear, seed);
  init_normal(prefix_const, 1, seed);
  for (MapperBlock& block : layers) block.each_linear([&](Linear& l) { init_linear(l, seed); });
}

Mapper make_mapper(const ClipCapConfig& config) {
  if (config.mapper == MapperKind::mlp) return MlpMapper(config);
  return TransformerMapper(config);
}

}  // namespace gmail
