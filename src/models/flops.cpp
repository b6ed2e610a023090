#include "models/flops.h"

namespace gmail {
namespace {

enum class Input : bool { constant, tracked };  // does the input of a product get a gradient?

Flops product(int64_t rows, int64_t in, int64_t out, Input input = Input::tracked) {
  const double forward = 2.0 * static_cast<double>(rows) * static_cast<double>(in) * static_cast<double>(out);
  return {forward, (input == Input::tracked ? 2 : 1) * forward};
}

Flops attention_flops(int64_t batch, int64_t queries, int64_t keys, int64_t width) {
  const double forward = 2 * product(batch * queries, keys, width).forward;
  return {forward, 2 * forward};
}

Flops tower_flops(const TowerConfig& c, int64_t batch, int64_t tokens) {
  const int64_t rows = batch * tokens, W = c.hidden_size;
  Flops layer = product(rows, W, 4 * W);  // q, k, v, out
  layer += product(rows, W, 2 * c.intermediate_size);
  layer += attention_flops(batch, tokens, tokens, W);
  const auto layers = static_cast<double>(c.num_hidden_layers);
  return {layers * layer.forward, layers * layer.backward};
}

Flops linear_flops(const Linear& l, int64_t rows, Input input = Input::tracked) {
  return product(rows, l.weight.value.size(1), l.weight.value.size(0), input);
}

Flops conv_flops(const Conv& c, int64_t pixels_out, Input input = Input::tracked) {
  const int64_t out = c.weight.value.size(0);
  return product(pixels_out, c.weight.value.numel() / out, out, input);
}

// The same walk as Unet::forward: B images of side x side pixels.
struct UnetWalk {
  int64_t B, tokens, side;
  Flops sum, keys;  // keys: those of the text

  [[nodiscard]] int64_t pixels() const { return B * side * side; }
  void resnet(const ResBlock& r) {
    sum += conv_flops(r.conv1, pixels());
    sum += conv_flops(r.conv2, pixels());
    sum += linear_flops(r.time_emb_proj, B);
    if (r.conv_shortcut) sum += conv_flops(*r.conv_shortcut, pixels());
  }
  void transformer(const SpatialTransformer& t) {
    const int64_t N = side * side, C = t.proj_in.weight.value.size(0);
    for (const Linear* l : {&t.proj_in, &t.attn1.to_q, &t.attn1.to_k, &t.attn1.to_v, &t.attn1.to_out,
                            &t.attn2.to_q, &t.attn2.to_out, &t.ff_in, &t.ff_out, &t.proj_out})
      sum += linear_flops(*l, B * N);
    keys += linear_flops(t.attn2.to_k, B * tokens, Input::constant);
    keys += linear_flops(t.attn2.to_v, B * tokens, Input::constant);
    sum += attention_flops(B, N, N, C);
    sum += attention_flops(B, N, tokens, C);
  }
  void level(const UnetLevel& l) {
    for (const ResBlock& r : l.resnets) resnet(r);
    for (const SpatialTransformer& t : l.attentions) transformer(t);
    if (l.downsample) {
      side = (side + 1) / 2;
      sum += conv_flops(*l.downsample, pixels());
    }
    if (l.upsample) {
      side *= 2;
      sum += conv_flops(*l.upsample, pixels());
    }
  }
};

}  // namespace

Flops image_tower_flops(const ClipConfig& c, int64_t images) {
  const int64_t side = c.image_size / c.patch_size, W = c.vision.hidden_size;
  Flops sum = product(images * side * side, 3 * c.patch_size * c.patch_size, W, Input::constant);
  sum += tower_flops(c.vision, images, side * side + 1);
  sum += product(images, W, c.projection_dim);
  return sum;
}

Flops last_block_flops_left_out(const TowerConfig& c, int64_t batch, int64_t tokens) {
  const int64_t rows = batch * (tokens - 1), W = c.hidden_size;
  Flops sum = product(rows, W, 2 * W);  // q, out
  sum += product(rows, W, 2 * c.intermediate_size);
  sum += attention_flops(batch, tokens - 1, tokens, W);
  return sum;
}

Flops text_tower_flops(const ClipConfig& c, int64_t texts, int64_t tokens) {
  Flops sum = tower_flops(c.text, texts, tokens);
  sum += product(texts, c.text.hidden_size, c.projection_dim);
  return sum;
}

Flops contrastive_flops(const ClipConfig& c, int64_t pairs) {
  return product(pairs, c.projection_dim, pairs);
}

AlignFlops align_flops(const ClipConfig& c, int64_t pairs, int64_t rank) {
  const int64_t side = c.image_size / c.patch_size, W = c.vision.hidden_size;
  const int64_t rows = pairs * (side * side + 1);
  const auto layers = static_cast<double>(c.vision.num_hidden_layers);
  const Flops tower = image_tower_flops(c, pairs), down = product(rows, W, rank), up = product(rows, rank, W);
  const double frozen =
      product(rows, W, 4 * W).forward + product(rows, W, 2 * c.vision.intermediate_size).forward;
  AlignFlops sum;
  sum.skipped = product(pairs * side * side, 3 * c.patch_size * c.patch_size, W).forward + layers * frozen +
                product(rows, W, 3 * W).forward;
  sum.done = tower.forward + tower.step() - sum.skipped;
  sum.done += layers * 4 * (down.step() + up.step()) - 3 * down.forward;  // of the first block no dX
  sum.done += 2 * contrastive_flops(c, pairs).forward;
  return sum;
}

Flops clipcap_flops(const ClipCapConfig& c, int64_t captions, int64_t tokens) {
  const int64_t W = c.gpt.n_embd, prefix = c.prefix_length * W, length = c.prefix_length + tokens;
  Flops layer = product(captions * length, W, 12 * W);
  layer += attention_flops(captions, length, length, W);
  const auto layers = static_cast<double>(c.gpt.n_layer);
  Flops sum{layers * layer.forward, layers * layer.backward};
  sum += product(captions, c.clip_dim, prefix / 2, Input::constant);
  sum += product(captions, prefix / 2, prefix);
  sum += product(captions * (tokens + 1), W, c.gpt.vocab_size);
  return sum;
}

double gpt2_flops(const Gpt2Config& c, int64_t rows, int64_t tokens, int64_t past) {
  Flops layer = product(rows * tokens, c.n_embd, 12 * c.n_embd);
  layer += attention_flops(rows, tokens, past + tokens, c.n_embd);
  return static_cast<double>(c.n_layer) * layer.forward + product(rows, c.n_embd, c.vocab_size).forward;
}

namespace {
UnetWalk walk_of(const Unet& u, int64_t images, int64_t tokens) {
  UnetWalk walk{images, tokens, u.config.sample_size / u.config.pixel_unshuffle, {}, {}};
  walk.sum += linear_flops(u.time_linear_1, images, Input::constant);
  walk.sum += linear_flops(u.time_linear_2, images);
  if (u.class_embedding) walk.sum += linear_flops(*u.class_embedding, images, Input::constant);
  walk.sum += conv_flops(u.conv_in, walk.pixels(), Input::constant);
  for (const UnetLevel& level : u.down_blocks) walk.level(level);
  walk.level(u.mid_block);
  for (const UnetLevel& level : u.up_blocks) walk.level(level);
  walk.sum += conv_flops(u.conv_out, walk.pixels());
  walk.sum += walk.keys;
  return walk;
}
}  // namespace

Flops unet_flops(const Unet& u, int64_t images, int64_t tokens) { return walk_of(u, images, tokens).sum; }
Flops text_keys_flops(const Unet& u, int64_t images, int64_t tokens) {
  return walk_of(u, images, tokens).keys;
}

}  // namespace gmail
