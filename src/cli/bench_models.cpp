// The workloads that compute without training: C1, C2, C4, C5.
#include <algorithm>
#include <memory>

#include "cli/bench_workloads.h"
#include "core/rng.h"
#include "data/resize.h"
#include "models/clipcap.h"
#include "models/flops.h"
#include "ops/gemm.h"

namespace gmail::cli {
namespace {

constexpr int64_t kTokens = 77;

Tensor noise(const Shape& shape, uint64_t seed, uint64_t index = 0) {
  Tensor t = Tensor::empty(shape);
  fill_normal(t, 1, seed, Purpose::bench, 0, index);
  return t;
}

template <class Tower>
void freeze_tower(Tower& tower) {
  ParamList params;
  tower.collect(params);
  freeze(params);
}

}  // namespace

Tensor noise_on(const Context& ctx, const Shape& shape, uint64_t seed, uint64_t index) {
  return noise(shape, seed, index).to(ctx.device).to(ctx.precision);
}

ClipConfig vit_b32() {
  ClipConfig c;
  c.projection_dim = 512;
  c.vision = {768, 3072, 12, 12, Activation::quick_gelu, 1e-5};
  c.text = {512, 2048, 12, 8, Activation::quick_gelu, 1e-5};
  c.image_size = 224;
  c.patch_size = 32;
  c.vocab_size = 49408;
  c.max_position_embeddings = kTokens;
  return c;
}

Gpt2Config gpt2_small() {
  return {.vocab_size = 50257, .n_positions = 1024, .n_embd = 768, .n_layer = 12, .n_head = 12};
}

ImageEncode::ImageEncode(const Context& ctx, const ClipConfig& config, uint64_t seed, int64_t batch)
    : config_(config),
      tower_(config),
      images_(noise_on(ctx, {batch, config.image_size, config.image_size, 3}, seed)) {
  tower_.init(seed);
  ParamList params;
  tower_.collect(params);
  freeze(params);
  place(params, ctx.device);
}

Tensor ImageEncode::operator()(const Context& ctx) {
  Tape tape(ctx, false);
  return tower_.encode(tape, Var(images_)).value;
}

double ImageEncode::flop() const { return image_tower_flops(config_, images_.size(0)).forward; }

Workload image_encode(const Context& ctx, uint64_t seed, int64_t batch) {
  const auto encode = std::make_shared<ImageEncode>(ctx, vit_b32(), seed, batch);
  return {concat("C1 ViT-B/32 images x ", batch), "images", static_cast<double>(batch), encode->flop(),
          [encode, &ctx] { (void)(*encode)(ctx); }};
}

Workload text_encode(const Context& ctx, uint64_t seed, int64_t batch) {
  const ClipConfig config = vit_b32();
  const auto tower = std::make_shared<TextTower>(config);
  tower->init(seed);
  freeze_tower(*tower);
  TextInput text{Tensor::empty({batch, kTokens}, DType::int32), Tensor::empty({batch}, DType::int32)};
  Rng rng(seed, Purpose::bench);
  for (int32_t& id : text.ids.span<int32_t>()) id = static_cast<int32_t>(rng.below(config.vocab_size));
  for (int32_t& end : text.end.span<int32_t>()) end = kTokens - 1;
  return {concat("C2 ViT-B/32 texts x ", batch), "texts", static_cast<double>(batch),
          text_tower_flops(config, batch, kTokens).forward, [=] {
            Tape tape(ctx, false);
            (void)tower->encode(tape, text);
          }};
}

Workload caption_decode(const Context& ctx, uint64_t seed, const Gpt2Config& gpt, int64_t images, int beams,
                        int64_t tokens) {
  const int64_t before = std::min<int64_t>(10, gpt.n_positions - tokens);
  ClipCapConfig config;
  config.clip_dim = 1;  // the prefix is given: the mapper does not take part
  config.prefix_length = 1;
  config.gpt = gpt;
  config.end_id = static_cast<int32_t>(gpt.vocab_size - 1);
  const auto model = std::make_shared<ClipCap>(config);
  model->init(seed);
  freeze(model->params());
  place(model->params(), ctx.device);
  const Tensor prefix = noise_on(ctx, {images, before, gpt.n_embd}, seed);
  double flop = gpt2_flops(gpt, images, before, 0);
  for (int64_t t = 0; t + 1 < tokens; ++t) flop += gpt2_flops(gpt, images * beams, 1, before + t);
  // the end token is forbidden until it is the last
  const DecodeOptions options{.beams = beams, .min_length = tokens - 1, .max_length = tokens - 1};
  return {concat("C4 GPT-2 ", beams == 1 ? "greedy" : concat("beam ", beams)), "tokens",
          static_cast<double>(images * tokens), flop,
          [=, &ctx] { (void)model->decode_prefix(ctx, prefix, options); }};
}

Workload matrix_product(uint64_t seed, int64_t m, int64_t n, int64_t k, bool packed) {
  const Tensor x = noise({m, k}, seed, 1), w = noise({n, k}, seed, 2);
  const Tensor y = Tensor::empty({m, n});
  Tensor panels;
  if (packed) {
    panels = Tensor::empty({cpu::packed_size<float>(k, n)});
    cpu::pack_b(panels.data<float>(), w.data<float>(), k, true, k, n);
  }
  const double flop = 2.0 * static_cast<double>(m) * static_cast<double>(n) * static_cast<double>(k);
  return {concat("C5 ", m, ",", n, ",", k, packed ? " packed" : ""), "products", 1, flop, [=] {
            cpu::Gemm<float> g{.m = m, .n = n, .k = k};
            g.a = x.data<float>();
            g.lda = k;
            g.b = w.data<float>();
            g.ldb = k;
            g.trans_b = true;
            g.c = Tensor(y).data<float>();
            g.ldc = n;
            if (packed) g.packed_b = panels.data<float>();
            cpu::gemm(g);
          }};
}

Workload image_resize(uint64_t seed, bool plain) {
  constexpr int64_t kWidth = 640, kHeight = 480, kSize = 224, kWide = kSize * kWidth / kHeight;
  auto image = std::make_shared<Image>(kWidth, kHeight);
  Rng rng(seed, Purpose::bench);
  for (uint8_t& v : image->rgb) v = static_cast<uint8_t>(rng.below(256));
  const Window centre{(kWide - kSize) / 2, 0, kSize, kSize};
  // a multiplication and an addition for each of 4 scale taps, of both passes
  const double flop = 2.0 * 3 * kSize * (kHeight + kSize) * 4 * kHeight / kSize;
  return {concat("resize 640 x 480 to 224, ", plain ? "plain" : "vector"), "images", 1, flop, [=] {
            (void)(plain ? resize_window_naive(*image, kWide, kSize, centre)
                         : resize_window(*image, kWide, kSize, centre));
          }};
}

}  // namespace gmail::cli
