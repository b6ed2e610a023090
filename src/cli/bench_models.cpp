// The workloads that compute without training: C1, C2, C4, C5.
#include <memory>

#include "cli/bench_workloads.h"
#include "core/rng.h"
#include "models/clipcap.h"
#include "models/flops.h"
#include "ops/gemm.h"

namespace gmail::cli {
namespace {

constexpr int64_t kTokens = 77;

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

Workload image_encode(const Context& ctx, uint64_t seed, int64_t batch) {
  const ClipConfig config = vit_b32();
  const auto tower = std::make_shared<ImageTower>(config);
  tower->init(seed);
  freeze_tower(*tower);
  const Tensor images = noise({batch, config.image_size, config.image_size, 3}, seed);
  return {concat("C1 ViT-B/32 images x ", batch), "images", static_cast<double>(batch),
          image_tower_flops(config, batch).forward, [=] {
            Tape tape(ctx, false);
            (void)tower->encode(tape, Var(images));
          }};
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

Workload caption_decode(const Context& ctx, uint64_t seed, int beams) {
  constexpr int64_t kPrefix = 10, kNew = 20;
  ClipCapConfig config;
  config.clip_dim = 1;  // the prefix is given: the mapper does not take part
  config.prefix_length = 1;
  config.gpt = {.vocab_size = 50257, .n_positions = 1024, .n_embd = 768, .n_layer = 12, .n_head = 12};
  config.end_id = 50256;
  const auto model = std::make_shared<ClipCap>(config);
  model->init(seed);
  freeze(model->params());
  const Tensor prefix = noise({1, kPrefix, config.gpt.n_embd}, seed);
  double flop = gpt2_flops(config.gpt, 1, kPrefix, 0);
  for (int64_t t = 0; t + 1 < kNew; ++t) flop += gpt2_flops(config.gpt, beams, 1, kPrefix + t);
  // the end token is forbidden until it is the 20th
  const DecodeOptions options{.beams = beams, .min_length = kNew - 1, .max_length = kNew - 1};
  return {concat("C4 GPT-2 ", beams == 1 ? "greedy" : concat("beam ", beams)), "tokens",
          static_cast<double>(kNew), flop, [=] { (void)model->decode_prefix(ctx, prefix, options); }};
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

}  // namespace gmail::cli
