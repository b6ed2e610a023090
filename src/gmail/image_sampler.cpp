#include "autograd/functions.h"
#include "core/dispatch.h"
#include "gmail/generator.h"
#include "ops/ddim.h"

namespace gmail {

ImageSampler::ImageSampler(const Context& ctx, Generator& generator, ClipModel& text,
                           const SampleOptions& options)
    : ctx_(ctx), g_(generator), text_(text), o_(options), recorded_(ctx, options.cuda_graph) {}

void ImageSampler::put_text(Inputs& in, const TextInput& input) const {
  const TextContext context = text_context(ctx_, text_, input, g_.unet.config.pooled_dim > 0);
  Tape tape(ctx_, false);
  const TextKeys keys = g_.unet.text_keys(tape, context.tokens, context.mask, context.pooled);
  const auto put = [&](Var& there, const Var& v) {
    if (v) ctx_.put(there.value, v.value);
  };
  in.text.k.resize(keys.k.size());
  in.text.v.resize(keys.v.size());
  for (size_t i = 0; i < keys.k.size(); ++i) {
    put(in.text.k[i], keys.k[i]);
    put(in.text.v[i], keys.v[i]);
  }
  put(in.text.pooled, keys.pooled);
  ctx_.put(in.text.mask, keys.mask);
}

void ImageSampler::step(const Context& ctx, Inputs& in) const {
  Tape tape(ctx, false);
  const Var x = from_host(tape, Var(in.x)), twice = concat(tape, {x, x}, 0);
  const Tensor prediction = g_.unet.forward_at(tape, twice, in.waves, in.text).value;
  GMAIL_RUN(ctx, ddim_step, in.x, prediction, in.factors, g_.diffusion.prediction);
}

Tensor ImageSampler::draw(std::span<const std::string> captions, std::span<const uint64_t> seeds) {
  const auto B = static_cast<int64_t>(captions.size());
  const int64_t S = g_.unet.config.sample_size, C = g_.unet.config.in_channels;
  std::vector<std::string> both(captions.begin(), captions.end());  // with the caption, then without
  both.resize(captions.size() * 2);
  const TextInput input = text_.tokens(both);
  const auto [place, first] = inputs_.try_emplace({B, input.ids.size(1)});
  Inputs& in = place->second;
  if (first) in.key = std::ssize(inputs_);
  put_text(in, input);
  ctx_.put(in.x, noise_for_seeds({B, S, S, C}, seeds));
  GMAIL_INPUT(o_.steps >= 1, "[ddim] steps must be at least 1, got ", o_.steps);
  for (int k = 0; k < o_.steps; ++k) {
    const DdimStep now = ddim_step_at(g_.diffusion, k, o_.steps, o_.guidance, o_.clamp);
    ctx_.put(in.waves, g_.unet.time_waves(Tensor::full({2 * B}, now.t)));
    ctx_.put(in.factors, now.factors.tensor());
    recorded_.run(in.key, [&](const Context& ctx) { step(ctx, in); });
  }
  return in.x.to(Device::cpu);
}

Tensor sample_images(const Context& ctx, Generator& g, ClipModel& text, std::span<const std::string> captions,
                     std::span<const uint64_t> seeds, const SampleOptions& o) {
  return ImageSampler(ctx, g, text, o).draw(captions, seeds);
}

}  // namespace gmail
