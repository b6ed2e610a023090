// Protects training on the device: it follows the CPU, resumed is straight, a gradient that is not finite is
// named though it is seen a step later, after the first steps nothing is allocated and nobody waits, and a
// recorded step gives the bits of a plain one. For the device alone.
#include "catch.h"

#if GMAIL_CUDA
#include <cmath>
#include <fstream>
#include <limits>
#include <map>
#include <nlohmann/json.hpp>

#include "autograd/functions.h"
#include "core/reading.h"
#include "devices.h"
#include "gmail/gen_clip_flow.h"
#include "gradcheck.h"
#include "io/files.h"
#include "temporary.h"
#include "tiny.h"
#include "train/optimiser.h"
#include "train/trainer.h"

#if GMAIL_EMULATED
#include "emulator.h"
#endif

using namespace gmail;
using namespace gmail::test;
using nlohmann::json;

namespace {

void move_to(Device device, const ParamList& params) {
  for (Param* p : params) {
    p->value = p->value.to(device);
    p->value.storage().constant = !p->trainable;
  }
}

// Stage A with two pairs a step: f_g's LoRA matrices and projection learn.
struct Alignment {
  const Context& ctx;
  Clip clip{tiny_clip()};
  GenClip gen;
  Tensor x_g, z_r;
  std::function<void(int64_t)> before, after;  // tests look in, or spoil a gradient
  int64_t now = 0;

  explicit Alignment(const Context& context) : ctx(context) {
    clip.init(1);
    freeze(clip.params());
    move_to(ctx.device, clip.params());
    gen = GenClip::start(clip.image, {}, false, 1);
  }
  [[nodiscard]] StagedStep step() {
    return {[this](int64_t k) -> int64_t {
              if (before) before(k);
              now = k;
              ctx.put(x_g, random({2, 16, 16, 3}, static_cast<uint64_t>(k), DType::float32));
              ctx.put(z_r, random({2, 12}, static_cast<uint64_t>(100 + k), DType::float32));
              return 0;
            },
            [this](const Context& step_ctx) -> StepResult {
              Tape tape(step_ctx);
              const Var z_g = l2_normalize(tape, gen.encode_generated(tape, Var(x_g)));
              const Var log_scale(step_ctx.full({1}, -std::log(0.07), DType::float32));
              const Var loss = info_nce(tape, z_g, l2_normalize(tape, Var(z_r)), log_scale);
              tape.backward(loss);
              if (after) after(now);
              return {loss.value, {{"twice", {loss.value, [](double v) { return 2 * v; }}}}, 2};
            }};
  }
};

TrainOptions options_for(const std::filesystem::path& out, int64_t steps) {
  TrainOptions o;
  o.out = out;
  o.steps = steps;
  o.lr = 1e-2;
  o.clip = 1;
  o.ema_decay = 0.9;
  o.quiet = true;
  return o;
}

std::vector<json> log_of(const std::filesystem::path& out) {
  std::ifstream file(out / "log.jsonl");
  std::vector<json> lines;
  for (std::string text; std::getline(file, text);) {
    lines.push_back(json::parse(text));
    lines.back().erase("seconds");
    lines.back().erase("items_per_s");
  }
  return lines;
}

TrainReport run(const Context& ctx, const TrainOptions& o, const std::function<void(int64_t)>& before = {}) {
  Alignment a(ctx);
  a.before = before;
  TrainReport report = train(ctx, o, a.gen.trainable(), a.step());
  save_params(o.out / "model.safetensors", a.gen.trainable());
  return report;
}

void check_same_run(const std::filesystem::path& a, const std::filesystem::path& b) {
  for (const char* name : {"model.safetensors", "checkpoint.safetensors"})
    CHECK(read_text(a / name) == read_text(b / name));
  CHECK(log_of(a) == log_of(b));
}

#if GMAIL_EMULATED
// From the third step on: no allocation, no wait, no copy of pageable memory, nothing on the default stream.
struct Steady {
  emulator::Counts third;
  void operator()(int64_t k) {
    const emulator::Counts& now = emulator::counts();
    if (k <= 2) {
      third = now;
      return;
    }
    CHECK(now.allocations == third.allocations);
    CHECK(now.synchronisations == third.synchronisations);
    CHECK(now.pageable_copies == third.pageable_copies);
    CHECK(now.on_default_stream == third.on_default_stream);
  }
};
#endif

}  // namespace

TEST_CASE("device training: it follows the CPU, and the log misses no step") {
  if (!has_device()) return;
  const TemporaryDir dir;
  const TrainReport here = run(Context(), options_for(dir / "cpu", 4));
  const TrainReport there = run(device_context(), options_for(dir / "cuda", 4));
  CHECK(there.loss == Approx(here.loss).epsilon(1e-3));
  const auto a = log_of(dir / "cpu"), b = log_of(dir / "cuda");
  REQUIRE(a.size() == 4);
  REQUIRE(b.size() == 4);
  for (size_t i = 0; i < 4; ++i) {
    CHECK(b[i]["step"] == i + 1);
    CHECK(b[i]["loss"].get<double>() == Approx(a[i]["loss"].get<double>()).epsilon(1e-3));
    CHECK(b[i]["grad_norm"].get<double>() == Approx(a[i]["grad_norm"].get<double>()).epsilon(1e-3));
    CHECK(b[i]["twice"].get<double>() == 2 * b[i]["loss"].get<double>());
  }
  CHECK(here.ema.size() == there.ema.size());
  for (size_t i = 0; i < here.ema.size(); ++i)
    CHECK(close(there.ema[i].tensor.to(Device::cpu), here.ema[i].tensor, 1e-2) == "");
}

TEST_CASE("device training: resumed is straight") {
  if (!has_device()) return;
  const TemporaryDir dir;
  auto o = options_for(dir / "straight", 5);
  run(device_context(), o);
  o.out = dir / "cut";
  o.save_every = 2;
  CHECK_THROWS_WITH(run(device_context(), o, [](int64_t k) { GMAIL_CHECK(k != 3, "power cut"); }),
                    "power cut");
  o.resume = true;
  CHECK(run(device_context(), o).first_step == 2);
  check_same_run(dir / "straight", dir / "cut");
}

TEST_CASE("device training: what is not finite stops the run by name and keeps the last checkpoint") {
  if (!has_device()) return;
  const TemporaryDir dir;
  auto o = options_for(dir / "run", 8);
  o.save_every = 2;
  Alignment a(device_context());
  const ParamList params = a.gen.trainable();
  int64_t begun = 0;
  a.before = [&](int64_t k) { begun = std::max(begun, k + 1); };
  a.after = [&](int64_t k) {
    if (k == 2) params[3]->slot.grad.rows(1, 2).fill(std::numeric_limits<double>::quiet_NaN());
  };
  CHECK_THROWS_WITH(train(device_context(), o, params, a.step()),
                    Contains("step 3: loss ") && Contains("gradient norm nan") &&
                        Contains("the gradient of '" + params[3]->name + "'"));
  CHECK(begun == 4);
  CHECK(SafetensorsFile(o.out / "checkpoint.safetensors").metadata().at("step") == "2");
  CHECK(log_of(o.out).size() == 2);
}

TEST_CASE("device training: a recorded step gives the bits of a plain one") {
  if (!has_device()) return;
  const TemporaryDir dir;
  auto o = options_for(dir / "plain", 5);
  run(device_context(), o);
  o.out = dir / "recorded";
  o.cuda_graph = true;
#if GMAIL_EMULATED
  const int64_t graphs = emulator::counts().graphs;
  run(device_context(), o, Steady());
  CHECK(emulator::counts().graphs == graphs + 4);
#else
  run(device_context(), o);
#endif
  check_same_run(dir / "plain", dir / "recorded");
}

TEST_CASE("device training: a captioner is recorded once for each length") {
  if (!has_device()) return;
  const std::vector<std::vector<int32_t>> captions{{3, 4, 5}, {6, 7, 8, 9, 10}};
  const auto trained = [&](bool graph) {
    const TemporaryDir dir;
    const Context& ctx = device_context();
    ClipCap model(tiny_clipcap());
    model.init(1);
    auto o = options_for(dir / "run", 7);
    o.cuda_graph = graph;
    struct Inputs {
      Tensor embeddings;
      CaptionBatch captions;
    };
    std::map<int64_t, Inputs> inputs;
    const Inputs* now = nullptr;
    const auto prepare = [&](int64_t k) {
      const CaptionBatch batch = model.batch({captions[0], captions[k % 3 == 1 ? 1 : 0]});
      Inputs& in = inputs[batch.ids.size(1)];
      ctx.put(in.embeddings, random({2, 12}, static_cast<uint64_t>(k), DType::float32));
      in.captions.put(ctx, batch);
      now = &in;
      return batch.ids.size(1);
    };
    const auto compute = [&](const Context& step_ctx) -> StepResult {
      Tape tape(step_ctx);
      const Var loss = model.loss(tape, Var(now->embeddings), now->captions);
      tape.backward(loss);
      return {loss.value, {}, 2};
    };
    (void)train(ctx, o, model.params(), StagedStep{prepare, compute});
    return std::pair(read_text(o.out / "checkpoint.safetensors"), log_of(o.out));
  };
  const auto plain = trained(false), recorded = trained(true);
  CHECK(plain.first == recorded.first);
  CHECK(plain.second == recorded.second);
}

#if GMAIL_EMULATED
TEST_CASE("device training: after the first steps nothing is allocated and nobody waits") {
  if (!has_device()) return;
  const TemporaryDir dir;
  run(device_context(), options_for(dir / "run", 6), Steady());

  const Context& ctx = device_context();  // a whole tower, images and labels from the host in each step
  ImageTower tower(tiny_clip());
  tower.init(1);
  ParamList params;
  tower.collect(params);
  Optimiser optimiser(ctx, params, {.adamw = {}, .clip = 1, .ema_decay = 0.9});
  const Tensor images = random({2, 16, 16, 3}, 1, DType::float32);
  const Tensor labels = Tensor::from(std::vector<int32_t>{3, 0}, {2});
  Steady steady;
  for (int64_t k = 0; k < 6; ++k) {
    steady(k);
    optimiser.zero_grad();
    Tape tape(ctx);
    const Var loss = softmax_cross_entropy(tape, tower.encode(tape, Var(images)), labels);
    tape.backward(loss);
    const Reading reading(ctx, loss.value);
    optimiser.update(1e-3, k);
    optimiser.average();
    CHECK(std::isfinite(reading.get()));
  }
}
#endif
#endif
