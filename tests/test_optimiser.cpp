// Protects the optimiser's part of a step: the flat layout of parameters, AdamW's settings, clipping, the
// moving average, and that a gradient which is not finite changes nothing; on the CPU and on the device.
#include "train/optimiser.h"

#include <cmath>
#include <deque>
#include <limits>

#include "catch.h"
#include "devices.h"
#include "gradcheck.h"
#include "threads.h"
#include "train/ema.h"

using namespace gmail;
using namespace gmail::test;

namespace {

// Parameters of awkward sizes: a matrix and a bias that are trained, a frozen matrix, a scalar, a large one.
struct Model {
  std::deque<Param> params;
  Model() {
    add("bias", {5}, true, false);
    add("weight", {7, 5}, true, true);
    add("frozen", {3, 3}, false, true);
    add("scale", {}, true, false);
    add("large", {300, 123}, true, true);
  }
  void add(const std::string& name, const Shape& shape, bool trainable, bool decay) {
    params.push_back({name, random(shape, params.size(), DType::float32), {}, trainable, decay});
  }
  [[nodiscard]] ParamList list() {
    ParamList all;
    for (Param& p : params) all.push_back(&p);
    return all;
  }
};

void set_grad(Param& p, const Tensor& g) {
  p.slot.grad.copy_from(g);
  p.slot.written = true;
}

}  // namespace

TEST_CASE("optimiser: the block: values move into views, frozen ones stay, unwritten gradients are zero") {
  Model model;
  std::vector<Tensor> before;
  for (const Param& p : model.params) before.push_back(p.value.clone());
  const Tensor frozen = model.params[2].value;
  ParamBlock block(model.list(), true);
  for (size_t i = 0; i < before.size(); ++i) CHECK(close(model.params[i].value, before[i], 0) == "");
  CHECK(model.params[2].value.raw() == frozen.raw());
  CHECK(block.count() == 5 + 35 + 1 + 300 * 123);
  CHECK(block.params().size() == 4);
  for (const Param* p : block.params()) {
    CHECK(reinterpret_cast<uintptr_t>(p->value.raw()) % 64 == 0);
    const auto at = p->value.data<float>() - block.values().data<float>();
    CHECK((at < block.decayed()) == p->decay);
    CHECK(p->slot.grad.data<float>() - block.grads().data<float>() == at);
  }
  for (Param* p : block.params()) set_grad(*p, random(p->value.shape(), 9, DType::float32));
  block.zero_grad();
  set_grad(model.params[1], Tensor::full({7, 5}, 2));
  block.settle_grads(Context());
  for (const Param* p : block.params()) {
    CHECK(p->slot.written);
    for (const float g : p->slot.grad.span<float>()) REQUIRE(g == (p->name == "weight" ? 2 : 0));
  }
  CHECK(block.ema_tensors().size() == 4);
  CHECK(block.state().size() == 16);
  block.release_grads();
  CHECK_FALSE(model.params[1].slot.grad.defined());

  Param twin{"bias", random({5}, 1, DType::float32), {}, true, true};
  auto list = model.list();
  list.push_back(&twin);
  CHECK_THROWS_WITH(ParamBlock(list), Contains("two parameters are called 'bias'"));
  Param wide{"wide", random({5}, 1), {}, true, true};
  CHECK_THROWS_WITH(ParamBlock({&wide}), Contains("'wide': only float32 is trained, got float64"));
}

TEST_CASE("optimiser: AdamW, two steps by hand") {
  on_each_device([](const Context& ctx) {
    Param p{"p", Tensor::full({1}, 1), {}, true, true}, q{"q", Tensor::full({1}, 1), {}, true, false};
    Optimiser optimiser(ctx, {&p, &q},
                        {.adamw = {.weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8},
                         .clip = 0,
                         .ema_decay = 0});
    CHECK(p.value.device() == ctx.device);
    set_grad(p, Tensor::full({1}, 0.5));
    set_grad(q, Tensor::full({1}, 0.5));
    optimiser.update(0.1, 0);
    CHECK(optimiser.norm().item() == Approx(std::sqrt(0.5)).epsilon(1e-12));
    CHECK(p.value.item() == Approx(0.899).epsilon(1e-6));  // 1 * 0.999 - 0.1 * 0.5 / 0.5
    CHECK(q.value.item() == Approx(0.9).epsilon(1e-6));    // the same without decay
    optimiser.zero_grad();
    set_grad(p, Tensor::full({1}, -1));
    optimiser.update(0.1, 1);
    // m = 0.9 * 0.05 - 0.1 = -0.055, v = 0.999 * 0.00025 + 0.001 = 0.00124975; m / 0.19, v / 0.001999
    CHECK(p.value.item() ==
          Approx(0.899 * 0.999 + 0.1 * (0.055 / 0.19) / std::sqrt(0.00124975 / 0.001999)).epsilon(1e-6));
    CHECK(optimiser.norm().item() == 1);  // q's gradient counts as zero
    CHECK_THROWS_AS(optimiser.update(0.1, -1), Error);
  });
}

TEST_CASE("optimiser: clipping, and the moving average with its ramp") {
  CHECK(ema_decay_at(0.999, 0) == Approx(0.1));
  CHECK(ema_decay_at(0.999, 8) == Approx(0.5));
  CHECK(ema_decay_at(0.999, 100'000) == 0.999);
  on_each_device([](const Context& ctx) {
    Param p{"p", Tensor::full({3}, 1), {}, true, false};
    Optimiser optimiser(ctx, {&p},
                        {.adamw = {.beta1 = 0, .beta2 = 0, .eps = 1}, .clip = 1, .ema_decay = 0.05});
    set_grad(p, Tensor::from(std::vector<float>{3, 0, -4}, {3}));
    optimiser.update(1, 0);  // g / 5; p - g / (|g| + 1)
    optimiser.average();     // the decay is below the ramp's 0.1
    CHECK(optimiser.norm().item() == 5);
    CHECK(p.value.at(0) == Approx(1 - 0.6 / 1.6).epsilon(1e-5));
    CHECK(p.value.at(2) == Approx(1 + 0.8 / 1.8).epsilon(1e-5));
    const std::vector<NamedTensor> ema = optimiser.block().ema_tensors();
    CHECK(ema[0].tensor.at(2) == Approx(0.05 * 1 + 0.95 * (1 + 0.8 / 1.8)).epsilon(1e-5));
    apply_ema({&p}, ema);
    CHECK(p.value.at(2) == Approx(0.05 * 1 + 0.95 * (1 + 0.8 / 1.8)).epsilon(1e-5));
    CHECK_THROWS_AS(apply_ema({}, ema), Error);
  });
}

TEST_CASE("optimiser: a gradient that is not finite changes nothing, then and later") {
  on_each_device([](const Context& ctx) {
    Model model;
    Optimiser optimiser(ctx, model.list(), {.adamw = {}, .clip = 1, .ema_decay = 0});
    const auto step = [&](int64_t k, double spoil) {
      optimiser.zero_grad();
      for (Param* p : optimiser.block().params()) set_grad(*p, random(p->value.shape(), 5, DType::float32));
      model.params[4].slot.grad.rows(299, 300).fill(spoil);
      optimiser.update(0.1, k);
    };
    step(0, 1);
    std::vector<Tensor> before;
    for (const NamedTensor& t : optimiser.block().state()) before.push_back(t.tensor.clone());
    step(1, std::numeric_limits<double>::infinity());
    CHECK(std::isinf(optimiser.norm().item()));
    step(2, 1);
    CHECK(std::isfinite(optimiser.norm().item()));
    const auto after = optimiser.block().state();
    for (size_t i = 0; i < before.size(); ++i) CHECK(close(after[i].tensor, before[i], 0) == "");
  });
}
