// Protects the models on the CUDA device: the loss and every gradient of one training step of each, in
// float32 and bfloat16, against the CPU's float64; greedy captions and a sampling step as on the CPU. Runs on
// a GPU, or on the emulator in a build that has it.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "core/device_memory.h"
#include "gmail/align.h"
#include "gmail/pretrain.h"
#include "gradcheck.h"
#include "models/diffusion.h"
#include "tiny.h"

using namespace gmail;
using namespace gmail::test;

namespace {

bool no_device() {
  const std::string why = why_no_cuda();
  if (!why.empty()) WARN("skipped: " << why);
  return !why.empty();
}

// what a step computes on a device: its loss, and the gradients by parameter
struct Result {
  double loss = 0;
  std::vector<Tensor> grads;
};

Result step_on(const Context& ctx, const ParamList& params, const std::function<Var(Tape&)>& loss) {
  place(params, ctx.device);
  for (Param* p : params) p->slot = {};
  for (Param* p : params)
    if (p->trainable) p->slot.grad = Tensor::zeros(p->value.shape(), p->value.dtype(), ctx.device);
  Tape tape(ctx);
  const Var l = loss(tape);
  tape.backward(l);
  Result out{l.value.item(), {}};
  for (Param* p : params)
    if (p->trainable) {
      CHECK(p->slot.written);
      out.grads.push_back(p->slot.grad.to(Device::cpu).to(DType::float64));
    }
  return out;
}

double norm(const Tensor& t) {
  double sum = 0;
  for (const double x : t.span<double>()) sum += x * x;
  return std::sqrt(sum);
}

// |a - b| / |b| over a whole gradient: bfloat16 errors of single elements average out; NaN stays NaN
double relative_error(const Tensor& a, const Tensor& b, double floor) {
  Tensor difference = a.clone();
  for (int64_t i = 0; i < a.numel(); ++i) difference.data<double>()[i] -= b.data<double>()[i];
  return norm(difference) / (norm(b) + floor);
}

// make() builds the model anew, with the same values each time; loss(tape, model, type) takes its batch in
// that type
template <class Make, class Loss>
void compare_step(Make&& make, Loss&& loss) {
  if (no_device()) return;
  auto reference = make();
  const ParamList double_params = reference.params();
  to_double(double_params);
  const Result exact =
      step_on(Context(), double_params, [&](Tape& t) { return loss(t, reference, DType::float64); });
  double largest = 0;
  for (const Tensor& g : exact.grads) largest = std::max(largest, norm(g));
  for (const DType type : {DType::float32, DType::bfloat16}) {
    auto model = make();
    const ParamList params = model.params();
    const Context ctx = make_cuda_context(type);
    const Result got = step_on(ctx, params, [&](Tape& t) { return loss(t, model, DType::float32); });
    const double tolerance = type == DType::float32 ? 1e-4 : 0.06;
    CAPTURE(name_of(type));
    CHECK(got.loss == Approx(exact.loss).epsilon(type == DType::float32 ? 1e-5 : 1e-2));
    REQUIRE(got.grads.size() == exact.grads.size());
    size_t i = 0;
    for (const Param* p : params) {
      if (!p->trainable) continue;
      CAPTURE(p->name);
      CHECK(relative_error(got.grads[i], exact.grads[i], 1e-2 * largest) <= tolerance);
      ++i;
    }
  }
}

Tensor images(int64_t salt, DType type) { return random({3, 16, 16, 3}, salt, type); }

}  // namespace

TEST_CASE("device models: a step of contrastive pretraining", "[device]") {
  const auto make = [] {
    Clip clip(tiny_clip());
    clip.init(1);
    return clip;
  };
  compare_step(make, [](Tape& tape, Clip& clip, DType type) {
    const TextInput text = tiny_text(3, 10, 30);
    const Var x = clip.image.encode(tape, Var(images(1, type))), y = clip.text.encode(tape, text);
    return clip_loss(tape, x, y, clip.logit_scale.on(tape), Tensor::from(std::vector<int32_t>{0, 1, 0}, {3}));
  });
}

namespace {
struct Aligned {
  Clip clip{tiny_clip()};
  GenClip gen;
  Aligned() {
    clip.init(1);
    freeze(clip.params());
    gen = GenClip::start(clip.image, {.lora_rank = 2, .lora_alpha = 4}, false, 1);
    uint64_t salt = 0;
    for (Param* p : gen.trainable()) fill_normal(p->value, 0.2, 3, Purpose::test, 1, ++salt);
  }
  ParamList params() {  // f_g shares what is frozen
    ParamList all = clip.params();
    gen.f_g.collect(all);
    return all;
  }
};
}  // namespace

TEST_CASE("device models: a step of alignment with LoRA", "[device]") {
  compare_step([] { return Aligned(); },
               [](Tape& tape, Aligned& m, DType type) {
                 const Var z_g = m.gen.encode_generated(tape, Var(images(1, type)));
                 const Var z_r = m.gen.encode_real(tape, m.clip.image, Var(images(2, type)));
                 return alignment_loss(tape, z_g, z_r, 0.07, false, Tensor());
               });
}

TEST_CASE("device models: a step of the generator", "[device]") {
  compare_step(random_unet, [](Tape& tape, Unet& unet, DType type) {
    const Tensor mask = Tensor::from(std::vector<int32_t>{1, 1, 1, 1, 0, 1, 1, 0, 0, 0}, {2, 5});
    const Var context = from_host(tape, Var(random({2, 5, 24}, 2, type)));
    const Var pooled = from_host(tape, Var(random({2, 24}, 3, type)));
    const Tensor t = Tensor::from(std::vector<float>{0.3F, 0.8F}, {2});
    const TextKeys keys = unet.text_keys(tape, context, mask, pooled);
    const Var predicted = unet.forward(tape, Var(random({2, 8, 8, 3}, 4, type)), t, keys);
    return weighted_mse(tape, predicted, random({2, 8, 8, 3}, 5, type),
                        Tensor::from(std::vector<float>{1, 2}, {2}).to(type));
  });
}

TEST_CASE("device models: a step of the captioner", "[device]") {
  compare_step(random_captioner, [](Tape& tape, ClipCap& model, DType type) {
    return model.loss(tape, Var(random({3, 12}, 1, type)), {{1, 2, 3}, {4, 0, 0, 6, 7}, {8}});
  });
}

TEST_CASE("device models: captions, greedy and by beam search, are the CPU's", "[device]") {
  if (no_device()) return;
  const Tensor x = random({3, 12}, 1, DType::float32);
  ClipCap model = random_captioner();
  const Context cpu, cuda = make_cuda_context(DType::float32);
  for (const int beams : {1, 3}) {
    place(model.params(), Device::cpu);
    const auto expected = model.decode(cpu, x, {.beams = beams, .max_length = 8});
    place(model.params(), Device::cuda);
    const auto found = model.decode(cuda, x, {.beams = beams, .max_length = 8});
    REQUIRE(found.size() == expected.size());
    for (size_t i = 0; i < found.size(); ++i) CHECK(found[i].tokens == expected[i].tokens);
  }
}
