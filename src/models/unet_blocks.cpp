#include <cmath>

#include "models/unet.h"

namespace gmail {

ResBlock::ResBlock(const std::string& name, int64_t in, int64_t out, int64_t time_dim, const UnetConfig& c)
    : norm1(name + ".norm1", in, c.norm_num_groups, c.norm_eps),
      norm2(name + ".norm2", out, c.norm_num_groups, c.norm_eps),
      conv1(name + ".conv1", in, out, 3, 1, 1),
      conv2(name + ".conv2", out, out, 3, 1, 1),
      time_emb_proj(name + ".time_emb_proj", time_dim, out) {
  if (in != out) conv_shortcut = Conv(name + ".conv_shortcut", in, out, 1, 1, 0);
}

Var ResBlock::forward(Tape& tape, const Var& x, const Var& time) {
  const Var e = time_emb_proj.forward(tape, time);  // (B, out)
  Var h = conv1.forward(tape, norm1.forward(tape, x, true));
  h = add(tape, h, reshape(tape, e, {e.size(0), 1, 1, e.size(1)}));
  h = conv2.forward(tape, norm2.forward(tape, h, true));
  return add(tape, conv_shortcut ? conv_shortcut->forward(tape, x) : x, h);  // eq. (1)
}

void ResBlock::collect(ParamList& params) {
  norm1.collect(params);
  conv1.collect(params);
  time_emb_proj.collect(params);
  norm2.collect(params);
  conv2.collect(params);
  if (conv_shortcut) conv_shortcut->collect(params);
}

CrossAttention::CrossAttention(const std::string& name, int64_t width, int64_t context_width, int head_count)
    : to_q(name + ".to_q", width, width, false),
      to_k(name + ".to_k", context_width, width, false),
      to_v(name + ".to_v", context_width, width, false),
      to_out(name + ".to_out.0", width, width),
      heads(head_count) {}

void CrossAttention::collect(ParamList& params) {
  for (Linear* l : {&to_q, &to_k, &to_v, &to_out}) l->collect(params);
}

SpatialTransformer::SpatialTransformer(const std::string& name, int64_t channels, int heads,
                                       const UnetConfig& c)
    : norm(name + ".norm", channels, c.norm_num_groups, 1e-6),
      proj_in(name + ".proj_in", channels, channels),
      proj_out(name + ".proj_out", channels, channels),
      norm1(name + ".transformer_blocks.0.norm1", channels),
      norm2(name + ".transformer_blocks.0.norm2", channels),
      norm3(name + ".transformer_blocks.0.norm3", channels),
      attn1(name + ".transformer_blocks.0.attn1", channels, channels, heads),
      attn2(name + ".transformer_blocks.0.attn2", channels, c.cross_attention_dim, heads),
      ff_in(name + ".transformer_blocks.0.ff.net.0.proj", channels, 8 * channels),
      ff_out(name + ".transformer_blocks.0.ff.net.2", 4 * channels, channels) {
  GMAIL_INPUT(heads >= 1 && channels % heads == 0, "[unet] ", heads, " heads do not divide ", channels,
              " channels");
}

Var SpatialTransformer::forward(Tape& tape, const Var& x, const Var& k, const Var& v, const Tensor& mask) {
  const int64_t B = x.size(0), H = x.size(1), W = x.size(2), C = x.size(3);
  const Var pixels = reshape(tape, norm.forward(tape, x), {B, H * W, C});
  Var z = proj_in.forward(tape, pixels);  // (B, H W, C)
  const Var n1 = norm1.forward(tape, z);
  const Var q1 = attn1.to_q.forward(tape, n1), k1 = attn1.to_k.forward(tape, n1),
            v1 = attn1.to_v.forward(tape, n1);
  z = attn1.to_out.forward(tape, attention(tape, q1, k1, v1, attn1.heads), z);
  const Var q2 = attn2.to_q.forward(tape, norm2.forward(tape, z));
  z = attn2.to_out.forward(tape, attention(tape, q2, k, v, attn2.heads, {.causal = false, .keys = mask}), z);
  z = ff_out.forward(tape, geglu(tape, ff_in.forward(tape, norm3.forward(tape, z))), z);
  const Var y = proj_out.forward(tape, z, reshape(tape, x, {B, H * W, C}));  // eq. (2)
  return reshape(tape, y, {B, H, W, C});
}

void SpatialTransformer::collect(ParamList& params) {
  norm.collect(params);
  proj_in.collect(params);
  norm1.collect(params);
  attn1.collect(params);
  norm2.collect(params);
  attn2.collect(params);
  norm3.collect(params);
  ff_in.collect(params);
  ff_out.collect(params);
  proj_out.collect(params);
}

void UnetLevel::collect(ParamList& params) {
  for (size_t i = 0; i < resnets.size(); ++i) {
    resnets[i].collect(params);
    if (i < attentions.size()) attentions[i].collect(params);
  }
  if (downsample) downsample->collect(params);
  if (upsample) upsample->collect(params);
}

Tensor time_sinusoids(const Tensor& t, int64_t channels) {
  const int64_t B = t.numel(), half = channels / 2;
  Tensor out = Tensor::zeros({B, channels});
  for (int64_t b = 0; b < B; ++b)
    for (int64_t i = 0; i < half; ++i) {
      const double f = std::exp(-std::log(10000.0) * static_cast<double>(i) / static_cast<double>(half));
      const double angle = 1000 * t.at(b) * f;
      out.data<float>()[b * channels + i] = static_cast<float>(std::cos(angle));
      out.data<float>()[b * channels + half + i] = static_cast<float>(std::sin(angle));
    }
  return out;
}

}  // namespace gmail
