#include "cli/bench_tiny_vit.h"

#include "core/rng.h"
#include "io/safetensors.h"
#include "models/flops.h"

namespace gmail::cli {
namespace {

constexpr int64_t kBatch = 32, kClasses = 10;

ClipConfig tiny_vit() {
  ClipConfig c;
  c.projection_dim = kClasses;
  c.vision = {192, 768, 6, 3, Activation::quick_gelu, 1e-5};
  c.image_size = 32;
  c.patch_size = 4;
  return c;
}

}  // namespace

TinyVit::TinyVit(const Context& ctx, uint64_t seed)
    : ctx_(ctx),
      config_(tiny_vit()),
      tower_(config_),
      images_(Tensor::empty({kBatch, config_.image_size, config_.image_size, 3})),
      labels_(Tensor::empty({kBatch}, DType::int32)) {
  tower_.init(seed);
  ParamList params;
  tower_.collect(params);
  optimiser_ = std::make_unique<Optimiser>(ctx, params, OptimiserOptions{.adamw = adamw_});
  fill_normal(images_, 1, seed, Purpose::bench);
  Rng rng(seed, Purpose::bench, 1);
  for (int32_t& label : labels_.span<int32_t>()) label = static_cast<int32_t>(rng.below(kClasses));
}

Tensor TinyVit::step() {
  optimiser_->zero_grad();
  Tape tape(ctx_);
  const Var loss = softmax_cross_entropy(tape, tower_.encode(tape, Var(images_)), labels_);
  tape.backward(loss);
  optimiser_->update(lr_, steps_++);
  return loss.value;
}

double TinyVit::flop() const { return image_tower_flops(config_, kBatch).step(); }

void TinyVit::write_state(const std::filesystem::path& file, int64_t steps) {
  std::vector<NamedTensor> tensors{{"bench.images", images_}, {"bench.labels", labels_}};
  std::string decayed;
  for (const Param* p : optimiser_->block().params()) {
    tensors.push_back({p->name, p->value.clone()});
    if (p->decay) decayed += (decayed.empty() ? "" : "\n") + p->name;
  }
  Tensor losses = Tensor::empty({steps});
  for (float& loss : losses.span<float>()) loss = static_cast<float>(step().item());
  tensors.push_back({"bench.losses", losses});
  save_safetensors(file, tensors,
                   {{"lr", concat(lr_)},
                    {"weight_decay", concat(adamw_.weight_decay)},
                    {"beta1", concat(adamw_.beta1)},
                    {"beta2", concat(adamw_.beta2)},
                    {"eps", concat(adamw_.eps)},
                    {"decay", decayed}});
}

}  // namespace gmail::cli
