// Protects the optimiser: the flat layout of parameters, AdamW's equations (1)-(3), clipping, the moving
// average.
#include "train/adamw.h"

#include <cmath>
#include <deque>

#include "catch.h"
#include "gradcheck.h"
#include "threads.h"
#include "train/clip_grad.h"
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

TEST_CASE("param block: values move into views, frozen ones stay, unwritten gradients are zero") {
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
    const auto at = p->value.data<float>() - block.values().data();
    CHECK((at < block.decayed()) == p->decay);
    CHECK(p->slot.grad.data<float>() - block.grads().data() == at);
  }
  for (Param* p : block.params()) set_grad(*p, random(p->value.shape(), 9, DType::float32));
  block.zero_grad();
  set_grad(model.params[1], Tensor::full({7, 5}, 2));
  block.settle_grads();
  CHECK(global_norm(block.grads()) == Approx(std::sqrt(35 * 4.0)).epsilon(1e-12));
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

TEST_CASE("adamw: two steps by hand") {
  Param p{"p", Tensor::full({1}, 1), {}, true, true}, q{"q", Tensor::full({1}, 1), {}, true, false};
  ParamBlock block({&p, &q});
  const AdamW options{.weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8};
  set_grad(p, Tensor::full({1}, 0.5));
  set_grad(q, Tensor::full({1}, 0.5));
  adamw_step(block, options, 0.1, 1);
  CHECK(p.value.item() == Approx(0.899).epsilon(1e-6));  // 1 * 0.999 - 0.1 * 0.5 / 0.5
  CHECK(q.value.item() == Approx(0.9).epsilon(1e-6));    // the same without decay
  set_grad(p, Tensor::full({1}, -1));
  adamw_step(block, options, 0.1, 2);
  // m = 0.9 * 0.05 - 0.1 = -0.055, v = 0.999 * 0.00025 + 0.001 = 0.00124975; m / 0.19, v / 0.001999
  CHECK(p.value.item() ==
        Approx(0.899 * 0.999 + 0.1 * (0.055 / 0.19) / std::sqrt(0.00124975 / 0.001999)).epsilon(1e-6));
  CHECK_THROWS_AS(adamw_step(block, options, 0.1, 0), Error);
}

TEST_CASE("adamw: five steps against the formula in double, for every thread count") {
  const AdamW o{.weight_decay = 0.1, .beta1 = 0.8, .beta2 = 0.95, .eps = 1e-6};
  std::vector<Tensor> results;
  for (const int threads : {1, 3}) {
    const Threads scope(threads);
    Model model;
    ParamBlock block(model.list());
    for (int64_t t = 1; t <= 5; ++t) {
      const double scale = 1.0 / static_cast<double>(t);
      for (Param* param : block.params()) {
        const Tensor g = random(param->value.shape(), static_cast<uint64_t>(100 * t), DType::float32);
        set_grad(*param, g);
      }
      adamw_step(block, o, 0.01, t, scale);
    }
    results.push_back(model.params[4].value.clone());
  }
  CHECK(close(results[0], results[1], 0) == "");

  Tensor p = random({300, 123}, 4, DType::float32).to(DType::float64);
  Tensor m = Tensor::zeros(p.shape(), DType::float64), v = m.clone();
  for (int t = 1; t <= 5; ++t) {
    const Tensor g = random(p.shape(), static_cast<uint64_t>(100 * t), DType::float32);
    for (int64_t i = 0; i < p.numel(); ++i) {
      const double gi = g.at(i) / t;
      double &pi = p.data<double>()[i], &mi = m.data<double>()[i], &vi = v.data<double>()[i];
      pi *= 1 - 0.01 * o.weight_decay;
      mi = o.beta1 * mi + (1 - o.beta1) * gi;
      vi = o.beta2 * vi + (1 - o.beta2) * gi * gi;
      const double root = std::sqrt(vi) / std::sqrt(1 - std::pow(o.beta2, t));
      pi -= 0.01 / (1 - std::pow(o.beta1, t)) * mi / (root + o.eps);
    }
  }
  CHECK(close(results[0].to(DType::float64), p, 1e-6) == "");
}

TEST_CASE("clip_grad: norm and factor") {
  std::vector<float> g(100'003, 0.0F);
  g[0] = 3;
  g[100'002] = -4;
  CHECK(global_norm(g) == Approx(5).epsilon(1e-12));
  g[50'000] = std::nanf("");
  CHECK(std::isnan(global_norm(g)));
  CHECK(clip_factor(5, 0) == 1);
  CHECK(clip_factor(0.5, 1) == 1);
  CHECK(clip_factor(5, 1) == Approx(1 / (5 + 1e-6)).epsilon(1e-12));
  CHECK(global_norm({}) == 0);
}

TEST_CASE("ema: the ramp, the update, and its way back into the parameters") {
  CHECK(ema_decay_at(0.999, 0) == Approx(0.1));
  CHECK(ema_decay_at(0.999, 8) == Approx(0.5));
  CHECK(ema_decay_at(0.999, 100'000) == 0.999);
  Param p{"p", Tensor::full({3}, 1), {}, true, true};
  ParamBlock block({&p}, true);
  p.value.fill(2);
  update_ema(block, 0.999, 0);  // 0.1 * 1 + 0.9 * 2
  CHECK(block.ema_tensors()[0].tensor.at(2) == Approx(1.9));
  p.value.fill(4);
  update_ema(block, 0.05, 1);  // the decay is below the ramp's 2 / 11
  CHECK(block.ema_tensors()[0].tensor.at(0) == Approx(0.05 * 1.9 + 0.95 * 4));
  apply_ema({&p}, block.ema_tensors());
  CHECK(p.value.at(1) == Approx(0.05 * 1.9 + 0.95 * 4));
  ParamBlock without({&p});
  CHECK_THROWS_AS(update_ema(without, 0.9, 0), Error);
  CHECK_THROWS_AS(apply_ema({}, block.ema_tensors()), Error);
}
