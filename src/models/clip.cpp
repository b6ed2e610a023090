#include "models/clip.h"

#include <algorithm>
#include <cmath>
#include <span>

namespace gmail {
namespace {

std::vector<Block> make_blocks(const std::string& name, const TowerConfig& c) {
  std::vector<Block> blocks;
  for (int64_t i = 0; i < c.num_hidden_layers; ++i)
    blocks.emplace_back(name + std::to_string(i), c.hidden_size, c.num_attention_heads, c.intermediate_size,
                        c.hidden_act, c.layer_norm_eps);
  return blocks;
}

using Step = std::function<Var(Tape&, const Var&)>;

Var run(Tape& tape, const Var& x, bool checkpointing, const Step& step) {
  if (!checkpointing) return step(tape, x);
  return recompute(tape, {x}, [step](Tape& t, const std::vector<Var>& in) { return step(t, in[0]); });
}

Var run_blocks(Tape& tape, std::span<Block> blocks, Var x, const AttentionMask& mask, bool checkpointing) {
  for (Block& block : blocks)
    x = run(tape, x, checkpointing,
            [&block, mask](Tape& t, const Var& in) { return block.forward(t, in, mask); });
  return x;
}

// One token of each row after the last block (B, W): token index[b] of row b, which sees the keys `seen`
// (B, T), absent: all. The last block computes nothing that it does not need.
Var run_to_row(Tape& tape, std::span<Block> blocks, Var x, const AttentionMask& mask, const Tensor& index,
               const Tensor& seen, bool checkpointing) {
  if (blocks.empty()) return gather_rows(tape, x, index);
  x = run_blocks(tape, blocks.first(blocks.size() - 1), x, mask, checkpointing);
  Block& last = blocks.back();
  const Var row = run(tape, x, checkpointing, [&last, index, seen](Tape& t, const Var& in) {
    return last.forward_row(t, in, index, {.causal = false, .keys = seen});
  });
  return reshape(tape, row, {x.size(0), x.size(2)});
}

}  // namespace

ImageTower::ImageTower(const ClipConfig& c)
    : class_embedding(make_param("vision_model.embeddings.class_embedding", {c.vision.hidden_size})),
      patch_embedding("vision_model.embeddings.patch_embedding", 3, c.vision.hidden_size, c.patch_size,
                      static_cast<int>(c.patch_size), 0, false),
      pre_layrnorm("vision_model.pre_layrnorm", c.vision.hidden_size, c.vision.layer_norm_eps),
      post_layernorm("vision_model.post_layernorm", c.vision.hidden_size, c.vision.layer_norm_eps),
      layers(make_blocks("vision_model.encoder.layers.", c.vision)),
      visual_projection("visual_projection", c.vision.hidden_size, c.projection_dim, false) {
  GMAIL_INPUT(c.patch_size > 0 && c.image_size % c.patch_size == 0, "[clip] patch_size ", c.patch_size,
              " does not divide image_size ", c.image_size);
  const int64_t side = c.image_size / c.patch_size;
  position_embedding = make_param("vision_model.embeddings.position_embedding.weight",
                                  {1 + side * side, c.vision.hidden_size});
}

Var ImageTower::features(Tape& tape, const Var& images_anywhere) {
  const Var images = from_host(tape, images_anywhere);
  const int64_t B = images.size(0), W = class_embedding.value.numel(), T = position_embedding.value.size(0);
  const Var grid = patch_embedding.forward(tape, images);  // (B, S/P, S/P, W)
  GMAIL_CHECK(grid.size(1) * grid.size(2) + 1 == T, "[clip] images ", images.shape(), " for ", T,
              " positions");
  const Var patches = reshape(tape, grid, {B, T - 1, W});
  const Var zeros(tape.ctx().zeros({B, 1, W}, images.dtype()));
  const Var class_token = add(tape, zeros, class_embedding.on(tape));                       // (B, 1, W)
  Var x = add(tape, concat(tape, {class_token, patches}, 1), position_embedding.on(tape));  // (B, T, W)
  x = pre_layrnorm.forward(tape, x);
  const Tensor first = tape.ctx().zeros({B}, DType::int32);  // the class token's place
  return post_layernorm.forward(tape, run_to_row(tape, layers, x, {}, first, Tensor(), checkpointing));
}

Var ImageTower::encode(Tape& tape, const Var& images) {
  return visual_projection.forward(tape, features(tape, images));
}

void ImageTower::collect(ParamList& params) {
  params.push_back(&class_embedding);
  patch_embedding.collect(params);
  params.push_back(&position_embedding);
  pre_layrnorm.collect(params);
  for (Block& block : layers) block.collect(params);
  post_layernorm.collect(params);
  visual_projection.collect(params);
}

void ImageTower::each_linear(const std::function<void(Linear&)>& f) {
  for (Block& block : layers) block.each_linear(f);
}

void ImageTower::init(uint64_t seed) {
  const double scale = 1 / std::sqrt(static_cast<double>(class_embedding.value.numel()));
  for (Param* p : {&class_embedding, &position_embedding, &visual_projection.weight})
    init_normal(*p, scale, seed);
  // OpenAI leaves the patch embedding at PyTorch's default: U(-b, b), b = 1 / sqrt(inputs of an output)
  const Tensor& w = patch_embedding.weight.value;
  init_uniform(patch_embedding.weight, 1 / std::sqrt(static_cast<double>(w.numel() / w.size(0))), seed);
  for (Block& block : layers) block.init(static_cast<int64_t>(layers.size()), seed);
}

Tensor TextInput::key_mask() const {
  if (mask) return mask;
  const int64_t B = ids.size(0), T = ids.size(1);
  Tensor made = Tensor::empty({B, T}, DType::int32);
  int32_t* m = made.data<int32_t>();
  for (int64_t b = 0; b < B; ++b)
    for (int64_t t = 0; t < T; ++t) m[b * T + t] = t <= end.data<int32_t>()[b] ? 1 : 0;
  return made;
}

TextInput TextInput::rows(int64_t first, int64_t past) const {
  return {ids.rows(first, past), end.rows(first, past), mask ? mask.rows(first, past) : Tensor()};
}

void TextInput::put(const Context& ctx, const TextInput& text) {
  ctx.put(ids, text.ids);
  ctx.put(end, text.end);
  ctx.put(mask, text.key_mask());
}

TextInput make_text_input(const Tensor& ids, const Tensor& end) {
  const int64_t B = ids.size(0), T = ids.size(1);
  const int32_t *in = ids.data<int32_t>(), *last = end.data<int32_t>();
  GMAIL_CHECK(end.numel() == B && B > 0, "[clip] ", end.numel(), " end positions for ids ", ids.shape());
  const int64_t longest = *std::max_element(last, last + B) + 1;
  GMAIL_CHECK(longest <= T, "[clip] an end position ", longest - 1, " for ids ", ids.shape());
  TextInput out{Tensor::empty({B, longest}, DType::int32), end};
  for (int64_t b = 0; b < B; ++b) std::copy_n(in + b * T, longest, out.ids.data<int32_t>() + b * longest);
  return out;
}

TextTower::TextTower(const ClipConfig& c)
    : token_embedding(
          make_param("text_model.embeddings.token_embedding.weight", {c.vocab_size, c.text.hidden_size})),
      position_embedding(make_param("text_model.embeddings.position_embedding.weight",
                                    {c.max_position_embeddings, c.text.hidden_size})),
      layers(make_blocks("text_model.encoder.layers.", c.text)),
      final_layer_norm("text_model.final_layer_norm", c.text.hidden_size, c.text.layer_norm_eps),
      text_projection("text_projection", c.text.hidden_size, c.projection_dim, false) {}

Var TextTower::embed(Tape& tape, const TextInput& text) {
  const int64_t T = text.ids.size(1), context = position_embedding.value.size(0);
  GMAIL_CHECK(T <= context, "[clip] ", T, " tokens for a context of ", context);
  const Var positions = slice(tape, position_embedding.on(tape), 0, 0, T);  // (T, W)
  return add(tape, embedding(tape, token_embedding.on(tape), text.ids), positions);
}

Var TextTower::tokens(Tape& tape, const TextInput& text) {
  const Var x = run_blocks(tape, layers, embed(tape, text), {.causal = true, .keys = {}}, checkpointing);
  return final_layer_norm.forward(tape, x);
}

Var TextTower::pooled(Tape& tape, const Var& tokens, const TextInput& text) {
  return gather_rows(tape, tokens, text.end);
}

Var TextTower::features(Tape& tape, const TextInput& text) {
  const Context& ctx = tape.ctx();
  const Var x = embed(tape, text);  // (B, T, W)
  return final_layer_norm.forward(
      tape, run_to_row(tape, layers, x, {.causal = true, .keys = {}}, ctx.here(text.end),
                       ctx.here(text.key_mask()), checkpointing));
}

Var TextTower::encode(Tape& tape, const TextInput& text) {
  return text_projection.forward(tape, features(tape, text));
}

void TextTower::collect(ParamList& params) {
  params.insert(params.end(), {&token_embedding, &position_embedding});
  for (Block& block : layers) block.collect(params);
  final_layer_norm.collect(params);
  text_projection.collect(params);
}

void TextTower::each_linear(const std::function<void(Linear&)>& f) {
  for (Block& block : layers) block.each_linear(f);
}

void TextTower::init(uint64_t seed) {
  init_normal(token_embedding, 0.02, seed);
  init_normal(position_embedding, 0.01, seed);
  const auto width = static_cast<double>(token_embedding.value.size(1));
  init_normal(text_projection.weight, 1 / std::sqrt(width), seed);
  for (Block& block : layers) block.init(static_cast<int64_t>(layers.size()), seed);
}

Clip::Clip(const ClipConfig& c)
    : config(c), image(c), text(c), logit_scale(make_param("logit_scale", {}, false)) {
  logit_scale.value.fill(c.logit_scale_init_value);
}

void Clip::init(uint64_t seed) {
  image.init(seed);
  text.init(seed);
}

ParamList Clip::params() {
  ParamList params;
  text.collect(params);
  image.collect(params);
  params.push_back(&logit_scale);
  return params;
}

}  // namespace gmail
