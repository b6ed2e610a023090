// The workloads of `gmail bench gpu` that compute without training, and the ceilings.
#include <algorithm>

#include "autograd/functions.h"
#include "cli/bench_gpu.h"
#include "cli/bench_workloads.h"
#include "core/rng.h"
#include "data/bpe_train.h"
#include "data/tabletop_captions.h"
#include "models/flops.h"
#include "train/step_graphs.h"

namespace gmail::cli {

GpuWorkload gpu_encode(const GpuBench& bench, const std::string& name, int64_t images) {
  const Context& ctx = bench.ctx;
  const auto encode = std::make_shared<ImageEncode>(ctx, config_of(bench.sizes, name), bench.seed, images);
  const auto graphs = std::make_shared<StepGraphs>(ctx);
  GpuWorkload w{{concat(name, " x ", images), "images", static_cast<double>(images), encode->flop(),
                 [encode, &ctx] { (void)(*encode)(ctx); }}};
  w.recorded = [encode, graphs] {
    (void)graphs->run(0, [&](const Context& recorded) -> StepResult { return {(*encode)(recorded), {}, 0}; });
  };
  return w;
}

GpuWorkload gpu_decode(const GpuBench& bench, int64_t images) {
  const GpuSizes& s = bench.sizes;
  GpuWorkload w{caption_decode(bench.ctx, bench.seed, s.captioner.gpt, images, 5, s.decoded_tokens)};
  w.name = concat("captioner-decode x ", images);
  w.note = "the host chooses the tokens: no graph";
  return w;
}

namespace {

// The generator of `gmail demo` with random weights, over a text tower with random weights.
struct Sampling {
  Generator generator;
  ClipModel text;
  std::vector<std::string> captions;
  std::vector<uint64_t> seeds;
};

Sampling random_generator(const GpuBench& bench, int64_t images) {
  const DemoRecipe& recipe = bench.sizes.recipe;
  Sampling s{{Unet(recipe.unet), {}}, {{}, train_bpe(std::vector<std::string>{}, 514), {}}, {}, {}};
  for (int64_t i = 0; i < images; ++i) {
    s.captions.push_back(
        captions_of(make_scene({.seed = bench.seed, .max_solids = recipe.max_solids}, i), 1)[0]);
    s.seeds.push_back(static_cast<uint64_t>(i));
  }
  s.text.tokenizer = train_bpe(s.captions, recipe.vocab);
  ClipConfig config = recipe.clip;
  config.vocab_size = s.text.tokenizer.vocab_size();
  s.text.clip = Clip(config);
  s.text.clip.init(bench.seed);
  s.generator.unet.init(bench.seed);
  for (Param* p : s.generator.unet.params())  // no branch ends in zeros, as after a training
    if (p->value.rank() > 1) init_normal(*p, 0.02, bench.seed);
  return s;
}

}  // namespace

GpuWorkload gpu_sampling(const GpuBench& bench, int64_t images) {
  const Context& ctx = bench.ctx;
  const auto s = std::make_shared<Sampling>(random_generator(bench, images));
  for (const ParamList& params : {s->text.clip.params(), s->generator.unet.params()}) {
    freeze(params);
    place(params, ctx.device);
  }
  const SampleOptions options = bench.sizes.recipe.sample;
  const int64_t tokens = s->text.tokens(s->captions).ids.size(1), twice = 2 * images;
  const Unet& unet = s->generator.unet;
  const double keys = text_keys_flops(unet, twice, tokens).forward;
  const double flop = text_tower_flops(s->text.clip.config, twice, tokens).forward + keys +
                      options.steps * (unet_flops(unet, twice, tokens).forward - keys);
  GpuWorkload w{
      {concat("sampling x ", images), "images", static_cast<double>(images), flop, [s, options, &ctx] {
         (void)sample_images(ctx, s->generator, s->text, s->captions, s->seeds, options);
       }}};
  w.note = concat(options.steps, " steps with guidance; the host takes part: no graph");
  return w;
}

GpuWorkload gpu_copy(const GpuBench& bench) {
  const Context& ctx = bench.ctx;
  const int64_t bytes = bench.sizes.copied, piece = std::min(bytes, int64_t{1} << 24);
  GMAIL_CHECK(bytes % piece == 0, "[bench] ", bytes, " bytes in pieces of ", piece);
  const auto to = std::make_shared<Tensor>(Tensor::empty({bytes / 4}, DType::float32, ctx.device));
  const Tensor from = Tensor::empty({bytes / 4}, DType::float32, ctx.device);
  Tensor noise = Tensor::empty({piece / 4});
  fill_normal(noise, 1, bench.seed, Purpose::bench);
  for (int64_t at = 0; at < bytes / 4; at += piece / 4) from.rows(at, at + piece / 4).copy_from(noise);
  GpuWorkload w{{"copy", "copies", 1, 0, [to, from, &ctx] { ctx.put(*to, from); }}};
  w.bytes = 2 * static_cast<double>(bytes);
  w.note = "bytes read and written";
  return w;
}

GpuWorkload gpu_matmul(const GpuBench& bench) {
  const Context& ctx = bench.ctx;
  const int64_t n = bench.sizes.matmul;
  const Tensor x = noise_on(ctx, {n, n}, bench.seed, 1), w = noise_on(ctx, {n, n}, bench.seed, 2);
  const double flop = 2 * static_cast<double>(n) * static_cast<double>(n) * static_cast<double>(n);
  return {{concat("matmul ", n), "products", 1, flop, [=, &ctx] {
             Tape tape(ctx, false);
             (void)linear(tape, Var(x), Var(w), Var());
           }}};
}

}  // namespace gmail::cli
