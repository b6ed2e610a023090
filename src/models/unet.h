// The generator's network: the text-conditional U-Net of Stable Diffusion (Rombach et al. 2022,
// arXiv:2112.10752; Ho et al. 2020, arXiv:2006.11239), with the parameter names of diffusers'
// UNet2DConditionModel. Images (B, H, W, C).
//
//   conv_in -> down_blocks (ResBlock [+ SpatialTransformer], downsample) -> mid_block -> up_blocks (skips
//     concatenated)
//           -> GroupNorm, SiLU, conv_out
//
//   (1)  ResBlock            h = conv1(silu(norm1 x)) + time_emb_proj(silu(e)),   y = shortcut(x) +
//     conv2(silu(norm2 h))
//   (2)  SpatialTransformer  y = x + proj_out(block(proj_in(norm x))), a token for each pixel
//        block               z <- z + attn1(norm1 z);  z <- z + attn2(norm2 z, text);  z <- z + ff(norm3 z),
//          ff with GEGLU
//   (3)  e = time_embedding(sinusoids of 1000 t) + class_embedding(pooled text)     [the second term if
//     configured]
#pragma once

#include <nlohmann/json_fwd.hpp>

#include "nn/conv.h"
#include "nn/linear.h"
#include "nn/norm.h"

namespace gmail {

// diffusers' config.json keys, plus "pixel_unshuffle": the image is rearranged into r x r fewer pixels of r
// r more channels.
struct UnetConfig {
  int64_t sample_size = 0, in_channels = 0, out_channels = 0, layers_per_block = 1, cross_attention_dim = 0;
  std::vector<int64_t> block_out_channels,
      attention_head_dim;            // the latter is the number of heads, as SD2 has it
  std::vector<bool> down_attention;  // CrossAttnDownBlock2D (true) or DownBlock2D
  int norm_num_groups = 32;
  double norm_eps = 1e-5;
  int64_t pooled_dim =
      0;  // projection_class_embeddings_input_dim of class_embed_type "simple_projection"; 0: none
  int pixel_unshuffle = 1;

  [[nodiscard]] static UnetConfig from_json(const nlohmann::json& json, const std::string& file);
  [[nodiscard]] nlohmann::json to_json() const;
};

// What attn2 needs of the text; the same for every diffusion step, so a sampler computes it once.
struct TextKeys {
  std::vector<Var> k, v;  // one (B, T, C) for each cross-attention, in the order of execution
  Tensor mask;            // (B, T) int32, absent: every token is seen
  Var pooled;             // (B, pooled_dim), absent without class_embedding
};

struct ResBlock {
  GroupNorm norm1, norm2;
  Conv conv1, conv2;
  Linear time_emb_proj;
  std::optional<Conv> conv_shortcut;  // 1 x 1, when the channels change
  ResBlock() = default;
  ResBlock(const std::string& name, int64_t in, int64_t out, int64_t time_dim, const UnetConfig& config);
  [[nodiscard]] Var forward(Tape& tape, const Var& x,
                            const Var& time);  // time (B, time_dim), SiLU already applied
  void collect(ParamList& params);
};

struct CrossAttention {
  Linear to_q, to_k, to_v, to_out;
  int heads = 1;
  CrossAttention() = default;
  CrossAttention(const std::string& name, int64_t width, int64_t context_width, int head_count);
  void collect(ParamList& params);
};

struct SpatialTransformer {
  GroupNorm norm;
  Linear proj_in, proj_out;
  LayerNorm norm1, norm2, norm3;
  CrossAttention attn1, attn2;
  Linear ff_in, ff_out;  // ff.net.0.proj, ff.net.2
  SpatialTransformer() = default;
  SpatialTransformer(const std::string& name, int64_t channels, int heads, const UnetConfig& config);
  [[nodiscard]] Var forward(Tape& tape, const Var& x, const Var& k, const Var& v, const Tensor& mask);
  void collect(ParamList& params);
};

// One level of the way down, the middle, or the way up.
struct UnetLevel {
  std::vector<ResBlock> resnets;
  std::vector<SpatialTransformer>
      attentions;  // empty, or one after each ResBlock (the middle: after the first)
  std::optional<Conv> downsample, upsample;
  void collect(ParamList& params);
};

struct Unet {
  UnetConfig config;
  Conv conv_in, conv_out;
  Linear time_linear_1, time_linear_2;
  std::optional<Linear> class_embedding;
  std::vector<UnetLevel> down_blocks, up_blocks;
  UnetLevel mid_block;
  GroupNorm conv_norm_out;

  Unet() = default;
  explicit Unet(const UnetConfig& unet_config);
  // context (B, T, cross_attention_dim): the text tower's tokens
  [[nodiscard]] TextKeys text_keys(Tape& tape, const Var& context, const Tensor& mask, const Var& pooled);
  // x (B, H, W, 3) or the latent channels, t (B) in [0, 1] -> the prediction, shaped as x
  [[nodiscard]] Var forward(Tape& tape, const Var& x, const Tensor& t, const TextKeys& text);
  // the same with time_waves(t) (B, C), which may have been put on the device before
  [[nodiscard]] Var forward_at(Tape& tape, const Var& x, const Tensor& waves, const TextKeys& text);
  [[nodiscard]] Tensor time_waves(const Tensor& t) const;
  void init(
      uint64_t seed);  // PyTorch's default scales; the last layer of each residual branch starts at zero
  [[nodiscard]] ParamList params();

 private:
  void build_down();
  void build_up();
  [[nodiscard]] Var time_vector(Tape& tape, const Tensor& waves, const Var& pooled);
  [[nodiscard]] std::vector<SpatialTransformer*> transformers();
};

// (B, C): [cos(1000 t f), sin(1000 t f)], f_i = 10000^(-i / (C/2))   (flip_sin_to_cos = true, freq_shift = 0)
[[nodiscard]] Tensor time_sinusoids(const Tensor& t, int64_t channels);

}  // namespace gmail
