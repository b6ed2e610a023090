// The workloads of `gmail bench gpu` that train: stage A, and the captioner of stage B.
#include "cli/bench_gpu.h"
#include "cli/bench_workloads.h"
#include "core/rng.h"
#include "gmail/align.h"
#include "io/safetensors.h"
#include "models/flops.h"
#include "train/optimiser.h"
#include "train/step_graphs.h"

namespace gmail::cli {
namespace {

constexpr double kTau = 0.07, kRate = 1e-4;
const AdamW kAdamW{.weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8};

// A training step from tensors that are on the device: plain, or its kernels recorded as one graph.
class DeviceStep {
 public:
  explicit DeviceStep(const Context& ctx) : ctx_(ctx), graphs_(ctx) {}
  virtual ~DeviceStep() = default;
  DeviceStep(const DeviceStep&) = delete;
  DeviceStep& operator=(const DeviceStep&) = delete;

  Tensor plain() {  // the loss before the step
    const Tensor loss = gradients(ctx_).loss;
    optimiser_->update(kRate, steps_++);
    return loss;
  }
  void recorded() {
    (void)graphs_.run(0, [this](const Context& ctx) { return gradients(ctx); });
    optimiser_->update(kRate, steps_++);
  }

 protected:
  virtual Tensor loss_and_gradients(const Context& ctx) = 0;
  void train(const ParamList& params) {
    optimiser_ = std::make_unique<Optimiser>(ctx_, params, OptimiserOptions{.adamw = kAdamW});
  }
  const Context& ctx_;
  std::unique_ptr<Optimiser> optimiser_;

 private:
  StepResult gradients(const Context& ctx) {
    optimiser_->zero_grad();
    const Tensor loss = loss_and_gradients(ctx);
    optimiser_->block().settle_grads(ctx);
    return {loss, {}, 0};
  }
  StepGraphs graphs_;
  int64_t steps_ = 0;
};

class AlignStep : public DeviceStep {
 public:
  AlignStep(const GpuBench& bench, const ClipConfig& config)
      : DeviceStep(bench.ctx), config_(config), f_r_(config) {
    const Context& ctx = bench.ctx;
    f_r_.init(bench.seed);
    ParamList all;
    f_r_.collect(all);
    freeze(all);
    const auto rank = bench.sizes.lora_rank;
    gen_ =
        GenClip::start(f_r_, {.lora_rank = rank, .lora_alpha = static_cast<double>(rank)}, false, bench.seed);
    for (Param* p : gen_.trainable())  // zero at the start of a training: here f_g has learnt something
      if (p->name.ends_with("lora_B.weight")) init_normal(*p, 0.02, bench.seed);
    gen_.f_g.collect(all);
    place(all, ctx.device);
    train(gen_.trainable());
    const Shape images{bench.sizes.pairs, config.image_size, config.image_size, 3};
    x_r_ = noise_on(ctx, images, bench.seed, 1);
    x_g_ = noise_on(ctx, images, bench.seed, 2);
  }

  void write_state(const std::filesystem::path& file, int64_t steps) {
    const auto host = [](const Tensor& t) { return t.to(Device::cpu).to(DType::float32).clone(); };
    std::vector<NamedTensor> tensors{{"bench.x_r", host(x_r_)}, {"bench.x_g", host(x_g_)}};
    ParamList all;
    f_r_.collect(all);
    std::string decayed;
    for (Param* p : gen_.trainable()) {
      all.push_back(p);
      if (p->decay) decayed += (decayed.empty() ? "" : "\n") + p->name;
    }
    for (const Param* p : all) tensors.push_back({p->name, host(p->value)});
    {
      Tape tape(ctx_, false);
      tensors.push_back({"bench.z_r", host(gen_.encode_real(tape, f_r_, Var(x_r_)).value)});
      tensors.push_back({"bench.z_g", host(gen_.encode_generated(tape, Var(x_g_)).value)});
    }
    Tensor losses = Tensor::empty({steps});
    for (float& loss : losses.span<float>()) loss = static_cast<float>(plain().item());
    tensors.push_back({"bench.losses", losses});
    save_safetensors(file, tensors,
                     {{"config", config_.to_json().dump()},
                      {"tau", concat(kTau)},
                      {"lora_scale", "1"},
                      {"lr", concat(kRate)},
                      {"weight_decay", concat(kAdamW.weight_decay)},
                      {"beta1", concat(kAdamW.beta1)},
                      {"beta2", concat(kAdamW.beta2)},
                      {"eps", concat(kAdamW.eps)},
                      {"decay", decayed}});
  }

 protected:
  Tensor loss_and_gradients(const Context& ctx) override {
    Tape tape(ctx);
    const Var z_g = gen_.encode_generated(tape, Var(x_g_)), z_r = gen_.encode_real(tape, f_r_, Var(x_r_));
    const Var loss = alignment_loss(tape, z_g, z_r, kTau, false, Tensor());
    tape.backward(loss);
    return loss.value;
  }

 private:
  ClipConfig config_;
  ImageTower f_r_;
  GenClip gen_;
  Tensor x_r_, x_g_;
};

class CaptionerStep : public DeviceStep {
 public:
  explicit CaptionerStep(const GpuBench& bench) : DeviceStep(bench.ctx), model_(bench.sizes.captioner) {
    const GpuSizes& s = bench.sizes;
    model_.init(bench.seed);
    train(model_.params());
    embeddings_ = noise_on(bench.ctx, {s.captions, s.captioner.clip_dim}, bench.seed);
    std::vector<std::vector<int32_t>> captions(static_cast<size_t>(s.captions));
    Rng rng(bench.seed, Purpose::bench, 1);
    for (auto& caption : captions)
      for (int64_t t = 0; t < s.caption_tokens; ++t)
        caption.push_back(static_cast<int32_t>(rng.below(s.captioner.gpt.vocab_size)));
    const CaptionBatch batch = model_.batch(captions);
    bench.ctx.put(batch_.ids, batch.ids);
    bench.ctx.put(batch_.targets, batch.targets);
    bench.ctx.put(batch_.mask, batch.mask);
  }

 protected:
  Tensor loss_and_gradients(const Context& ctx) override {
    Tape tape(ctx);
    const Var loss = model_.loss(tape, Var(embeddings_), batch_);
    tape.backward(loss);
    return loss.value;
  }

 private:
  ClipCap model_;
  Tensor embeddings_;
  CaptionBatch batch_;
};

GpuWorkload workload_of(const std::shared_ptr<DeviceStep>& step, const std::string& name,
                        const std::string& unit, int64_t items, double flop) {
  GpuWorkload w{{name, unit, static_cast<double>(items), flop, [step] { (void)step->plain(); }}};
  w.recorded = [step] { step->recorded(); };
  return w;
}

}  // namespace

GpuWorkload align_step(const GpuBench& bench, const std::string& name) {
  const ClipConfig& config = config_of(bench.sizes, name);
  const int64_t pairs = bench.sizes.pairs;
  const AlignFlops flops = align_flops(config, pairs, bench.sizes.lora_rank);
  GpuWorkload w = workload_of(std::make_shared<AlignStep>(bench, config), concat(name, " x ", pairs), "pairs",
                              pairs, flops.done);
  w.skipped = flops.skipped;
  w.note = "no dW of frozen weights, no dX below LoRA";
  return w;
}

GpuWorkload captioner_step(const GpuBench& bench) {
  const GpuSizes& s = bench.sizes;
  GpuWorkload w = workload_of(std::make_shared<CaptionerStep>(bench), concat("captioner-step x ", s.captions),
                              "tokens", s.captions * (s.captioner.prefix_length + s.caption_tokens),
                              clipcap_flops(s.captioner, s.captions, s.caption_tokens).step());
  const int64_t spared = s.captions * (s.captioner.prefix_length - 1);
  w.skipped = 6 * static_cast<double>(spared * s.captioner.gpt.n_embd * s.captioner.gpt.vocab_size);
  w.note = "no logits of the prefix";
  return w;
}

void write_align_state(const GpuBench& bench, const std::string& name, const std::filesystem::path& file,
                       int64_t steps) {
  AlignStep(bench, config_of(bench.sizes, name)).write_state(file, steps);
}

}  // namespace gmail::cli
