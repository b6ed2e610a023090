// The workloads that train: C3, and the demo's two large stages.
#include <memory>

#include "cli/bench_tiny_vit.h"
#include "cli/bench_workloads.h"
#include "cli/demo_recipe.h"
#include "core/rng.h"
#include "models/flops.h"
#include "train/optimiser.h"

namespace gmail::cli {
namespace {

constexpr int64_t kTokens = 23;  // the longest caption of a batch in the built-in world

constexpr double kRate = 1e-4;

OptimiserOptions options(double ema = 0) {
  return {{.weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8}, 1, ema};
}

// Texts of 6 to kTokens tokens, the first the longest.
TextInput random_texts(int64_t batch, int64_t vocab, uint64_t seed) {
  Rng rng(seed, Purpose::bench, 2);
  TextInput text{Tensor::zeros({batch, kTokens}, DType::int32), Tensor::empty({batch}, DType::int32)};
  for (int64_t b = 0; b < batch; ++b) {
    const int64_t length = b == 0 ? kTokens : 6 + rng.below(kTokens - 5);
    text.end.data<int32_t>()[b] = static_cast<int32_t>(length - 1);
    for (int64_t t = 0; t < length; ++t)
      text.ids.data<int32_t>()[b * kTokens + t] = static_cast<int32_t>(rng.below(vocab));
  }
  return text;
}

Tensor random_images(int64_t batch, int64_t size, uint64_t seed) {
  Tensor images = Tensor::empty({batch, size, size, 3});
  fill_uniform(images, -1, 1, seed, Purpose::bench);
  return images;
}

Clip demo_clip(const DemoRecipe& recipe, uint64_t seed) {
  ClipConfig config = recipe.clip;
  config.vocab_size = recipe.vocab;
  Clip clip(config);
  clip.init(seed);
  return clip;
}

struct ClipStep {
  ClipStep(const Context& context, const DemoRecipe& recipe, uint64_t seed)
      : ctx(context),
        clip(demo_clip(recipe, seed)),
        optimiser(context, clip.params(), options()),
        images(random_images(recipe.pretrain_batch, clip.config.image_size, seed)),
        text(random_texts(recipe.pretrain_batch, recipe.vocab, seed)) {}
  void step() {
    optimiser.zero_grad();
    Tape tape(ctx);
    const Var image = clip.image.encode(tape, Var(images)), words = clip.text.encode(tape, text);
    const Var loss = clip_loss(tape, image, words, clip.logit_scale.on(tape), Tensor());
    tape.backward(loss);
    optimiser.update(kRate, steps++);
    clamp_logit_scale(ctx, clip.logit_scale);
  }
  const Context& ctx;
  int64_t steps = 0;
  Clip clip;
  Optimiser optimiser;
  Tensor images;
  TextInput text;
};

struct GeneratorStep {
  GeneratorStep(const Context& context, const DemoRecipe& recipe, uint64_t s)
      : ctx(context),
        seed(s),
        clip(demo_clip(recipe, seed)),
        unet(initialised(recipe.unet, seed)),
        optimiser(context, unet.params(), options(0.999)),
        images(random_images(recipe.generator_batch, unet.config.sample_size, seed)),
        text(random_texts(recipe.generator_batch, recipe.vocab, seed)) {
    freeze(clip.params());
  }
  static Unet initialised(const UnetConfig& config, uint64_t seed) {
    Unet unet(config);
    unet.init(seed);
    return unet;
  }
  void step() {
    optimiser.zero_grad();
    const Noised noised = add_noise(diffusion, images, seed, static_cast<uint64_t>(steps));
    Tape frozen(ctx, false);
    const Var tokens = clip.text.tokens(frozen, text), pooled = clip.text.pooled(frozen, tokens, text);
    Tape tape(ctx);
    const TextKeys keys = unet.text_keys(tape, tokens, text.key_mask(), pooled);
    const Var prediction = unet.forward(tape, Var(noised.x_t), noised.t, keys);
    tape.backward(weighted_mse(tape, prediction, noised.target, noised.weight));
    optimiser.update(kRate, steps++);
    optimiser.average();
  }
  const Context& ctx;
  uint64_t seed;
  int64_t steps = 0;
  Clip clip;
  Unet unet;
  DiffusionConfig diffusion;
  Optimiser optimiser;
  Tensor images;
  TextInput text;
};

}  // namespace

Workload tiny_vit_step(const Context& ctx, uint64_t seed) {
  const auto vit = std::make_shared<TinyVit>(ctx, seed);
  return {"C3", "images", static_cast<double>(vit->batch()), vit->flop(), [vit] { (void)vit->step(); }};
}

Workload clip_step(const Context& ctx, uint64_t seed) {
  const DemoRecipe recipe = full_recipe();
  const auto step = std::make_shared<ClipStep>(ctx, recipe, seed);
  const int64_t batch = recipe.pretrain_batch;
  Flops flops = image_tower_flops(step->clip.config, batch);
  flops += text_tower_flops(step->clip.config, batch, kTokens);
  flops += contrastive_flops(step->clip.config, batch);
  return {"clip-step", "pairs", static_cast<double>(batch), flops.step(), [step] { step->step(); }};
}

Workload generator_step(const Context& ctx, uint64_t seed) {
  const DemoRecipe recipe = full_recipe();
  const auto step = std::make_shared<GeneratorStep>(ctx, recipe, seed);
  const int64_t batch = recipe.generator_batch;
  const double flop = unet_flops(step->unet, batch, kTokens).step() +
                      text_tower_flops(step->clip.config, batch, kTokens).forward;
  return {"generator-step", "images", static_cast<double>(batch), flop, [step] { step->step(); }};
}

}  // namespace gmail::cli
