#include "models/unet.h"

#include <cmath>

namespace gmail {

Unet::Unet(const UnetConfig& c) : config(c) {
  GMAIL_INPUT(
      c.block_out_channels.size() == c.attention_head_dim.size() &&
          c.block_out_channels.size() == c.down_attention.size() && !c.block_out_channels.empty(),
      "[unet] block_out_channels, attention_head_dim and down_block_types must have one entry a level");
  const int64_t r2 = int64_t{c.pixel_unshuffle} * c.pixel_unshuffle;
  const int64_t C0 = c.block_out_channels.front(), time_dim = 4 * C0;
  for (const int64_t channels : c.block_out_channels)
    GMAIL_INPUT(channels % c.norm_num_groups == 0, "[unet] norm_num_groups ", c.norm_num_groups,
                " does not divide ", channels);
  conv_in = Conv("conv_in", c.in_channels * r2, C0, 3, 1, 1);
  time_linear_1 = Linear("time_embedding.linear_1", C0, time_dim);
  time_linear_2 = Linear("time_embedding.linear_2", time_dim, time_dim);
  if (c.pooled_dim > 0) class_embedding = Linear("class_embedding", c.pooled_dim, time_dim);
  build_down();
  build_up();
  conv_norm_out = GroupNorm("conv_norm_out", C0, c.norm_num_groups, c.norm_eps);
  conv_out = Conv("conv_out", C0, c.out_channels * r2, 3, 1, 1);
}

void Unet::build_down() {
  const auto& channels = config.block_out_channels;
  const int64_t time_dim = 4 * channels.front();
  for (size_t i = 0; i < channels.size(); ++i) {
    const std::string name = "down_blocks." + std::to_string(i);
    UnetLevel level;
    for (int64_t j = 0; j < config.layers_per_block; ++j) {
      const int64_t in = j > 0 ? channels[i] : channels[i == 0 ? 0 : i - 1];
      level.resnets.emplace_back(name + ".resnets." + std::to_string(j), in, channels[i], time_dim, config);
      if (config.down_attention[i])
        level.attentions.emplace_back(name + ".attentions." + std::to_string(j), channels[i],
                                      static_cast<int>(config.attention_head_dim[i]), config);
    }
    if (i + 1 < channels.size())
      level.downsample = Conv(name + ".downsamplers.0.conv", channels[i], channels[i], 3, 2, 1);
    down_blocks.push_back(std::move(level));
  }
  for (const int j : {0, 1})
    mid_block.resnets.emplace_back("mid_block.resnets." + std::to_string(j), channels.back(), channels.back(),
                                   time_dim, config);
  mid_block.attentions.emplace_back("mid_block.attentions.0", channels.back(),
                                    static_cast<int>(config.attention_head_dim.back()), config);
}

void Unet::build_up() {
  const auto& channels = config.block_out_channels;
  const size_t n = channels.size();
  int64_t previous = channels.back();
  for (size_t i = 0; i < n; ++i) {
    const size_t level_index = n - 1 - i;
    const int64_t out = channels[level_index], below = channels[level_index == 0 ? 0 : level_index - 1];
    const std::string name = "up_blocks." + std::to_string(i);
    UnetLevel level;
    for (int64_t j = 0; j <= config.layers_per_block; ++j) {
      const int64_t in = j == 0 ? previous : out;
      const int64_t skip =
          j == config.layers_per_block ? below : out;  // the last skip comes from the level above
      level.resnets.emplace_back(name + ".resnets." + std::to_string(j), in + skip, out, 4 * channels.front(),
                                 config);
      if (config.down_attention[level_index])
        level.attentions.emplace_back(name + ".attentions." + std::to_string(j), out,
                                      static_cast<int>(config.attention_head_dim[level_index]), config);
    }
    if (i + 1 < n) level.upsample = Conv(name + ".upsamplers.0.conv", out, out, 3, 1, 1);
    up_blocks.push_back(std::move(level));
    previous = out;
  }
}

std::vector<SpatialTransformer*> Unet::transformers() {
  std::vector<SpatialTransformer*> all;
  const auto of = [&](UnetLevel& level) {
    for (SpatialTransformer& t : level.attentions) all.push_back(&t);
  };
  for (UnetLevel& level : down_blocks) of(level);
  of(mid_block);
  for (UnetLevel& level : up_blocks) of(level);
  return all;
}

TextKeys Unet::text_keys(Tape& tape, const Var& context, const Tensor& mask, const Var& pooled) {
  TextKeys text;
  for (SpatialTransformer* t : transformers()) {
    text.k.push_back(t->attn2.to_k.forward(tape, context));
    text.v.push_back(t->attn2.to_v.forward(tape, context));
  }
  text.mask = mask;
  text.pooled = pooled;
  return text;
}

Tensor Unet::time_waves(const Tensor& t) const {
  return time_sinusoids(t, config.block_out_channels.front()).to(time_linear_1.weight.value.dtype());
}

Var Unet::time_vector(Tape& tape, const Tensor& waves, const Var& pooled) {
  Var e = activation(tape, time_linear_1.forward(tape, from_host(tape, Var(waves))), Activation::silu);
  e = time_linear_2.forward(tape, e);
  if (class_embedding) e = class_embedding->forward(tape, pooled, e);  // eq. (3)
  return activation(tape, e, Activation::silu);
}

Var Unet::forward(Tape& tape, const Var& x, const Tensor& t, const TextKeys& text) {
  return forward_at(tape, x, time_waves(t), text);
}

Var Unet::forward_at(Tape& tape, const Var& x_anywhere, const Tensor& waves, const TextKeys& text) {
  const int r = config.pixel_unshuffle;
  const Var x = from_host(tape, x_anywhere), time = time_vector(tape, waves, text.pooled);
  size_t next_key = 0;  // cross-attentions run in the order in which text_keys() listed them
  const auto transform = [&](SpatialTransformer& block, const Var& in) {
    const size_t i = next_key++;
    return block.forward(tape, in, text.k[i], text.v[i], text.mask);
  };
  Var h = conv_in.forward(tape, r > 1 ? pixel_unshuffle(tape, x, r) : x);
  std::vector<Var> skips{h};
  for (UnetLevel& level : down_blocks) {
    for (size_t j = 0; j < level.resnets.size(); ++j) {
      h = level.resnets[j].forward(tape, h, time);
      if (!level.attentions.empty()) h = transform(level.attentions[j], h);
      skips.push_back(h);
    }
    if (level.downsample) skips.push_back(h = level.downsample->forward(tape, h));
  }
  h = mid_block.resnets[0].forward(tape, h, time);
  h = transform(mid_block.attentions[0], h);
  h = mid_block.resnets[1].forward(tape, h, time);
  for (UnetLevel& level : up_blocks) {
    for (size_t j = 0; j < level.resnets.size(); ++j) {
      h = level.resnets[j].forward(tape, concat(tape, {h, skips.back()}, 3), time);
      skips.pop_back();
      if (!level.attentions.empty()) h = transform(level.attentions[j], h);
    }
    if (level.upsample) h = level.upsample->forward(tape, upsample_nearest(tape, h));
  }
  const Var out = conv_out.forward(tape, conv_norm_out.forward(tape, h, true));
  return r > 1 ? pixel_shuffle(tape, out, r) : out;
}

ParamList Unet::params() {
  ParamList params;
  conv_in.collect(params);
  time_linear_1.collect(params);
  time_linear_2.collect(params);
  if (class_embedding) class_embedding->collect(params);
  for (UnetLevel& level : down_blocks) level.collect(params);
  mid_block.collect(params);
  for (UnetLevel& level : up_blocks) level.collect(params);
  conv_norm_out.collect(params);
  conv_out.collect(params);
  return params;
}

void Unet::init(uint64_t seed) {
  for (Param* p : params()) {
    if (p->value.rank() < 2) continue;  // biases stay 0, gains 1
    const auto fan_in = static_cast<double>(p->value.numel() / p->value.size(0));
    init_uniform(*p, 1 / std::sqrt(fan_in), seed);
  }
  const auto zero_branch_ends = [](UnetLevel& level) {
    for (ResBlock& block : level.resnets) init_constant(block.conv2.weight, 0);
    for (SpatialTransformer& block : level.attentions) init_constant(block.proj_out.weight, 0);
  };
  for (UnetLevel& level : down_blocks) zero_branch_ends(level);
  zero_branch_ends(mid_block);
  for (UnetLevel& level : up_blocks) zero_branch_ends(level);
  init_constant(conv_out.weight, 0);
}

}  // namespace gmail
