// Protects AdamW's equations (1)-(3): against the formula in double, for every thread count, on the CPU and
// on the device, also where the blocks are not aligned; a NaN scale changes nothing.
#include "ops/adamw.h"

#include <array>
#include <cmath>

#include "catch.h"
#include "core/dispatch.h"
#include "devices.h"
#include "gradcheck.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {

struct Settings {
  double wd = 0.1, b1 = 0.8, b2 = 0.95, eps = 1e-6, lr = 0.01;
};

// n elements, all of them `offset` floats behind a border of 64 bytes
struct Blocks {
  Tensor p, m, v, g;
  Blocks(int64_t n, int64_t offset, Device device) {
    for (Tensor* t : {&p, &m, &v, &g})
      *t = Tensor::zeros({n + offset}, DType::float32, device).rows(offset, n + offset);
    p.copy_from(random({n}, 4, DType::float32));
  }
};

Tensor factors(const Settings& s, int64_t t) {
  const auto time = static_cast<double>(t);
  std::vector<float> f;
  for (const double x : {1 - s.lr * s.wd, s.b1, 1 - s.b1, s.b2, 1 - s.b2, s.lr / (1 - std::pow(s.b1, time)),
                         1 / std::sqrt(1 - std::pow(s.b2, time)), s.eps})
    f.push_back(static_cast<float>(x));
  return Tensor::from(f, {kAdamWFactors});
}

// five steps; the gradients of step t are scaled by 1 / t
Tensor five_steps(const Context& ctx, int64_t n, int64_t offset, int64_t decayed) {
  Blocks x(n, offset, ctx.device);
  for (int64_t t = 1; t <= 5; ++t) {
    x.g.copy_from(random({n}, static_cast<uint64_t>(100 * t), DType::float32));
    const Tensor scale = Tensor::full({1}, 1.0 / static_cast<double>(t)).to(ctx.device);
    const Tensor f = factors({}, t).to(ctx.device);
    GMAIL_RUN(ctx, adamw, x.p, x.m, x.v, x.g, scale, f, decayed);
  }
  return x.p.to(Device::cpu).clone();
}

Tensor five_steps_in_double(int64_t n, int64_t decayed) {
  const Settings s;
  Tensor p = random({n}, 4, DType::float32).to(DType::float64);
  Tensor m = Tensor::zeros({n}, DType::float64), v = m.clone();
  for (int t = 1; t <= 5; ++t) {
    const Tensor g = random({n}, static_cast<uint64_t>(100 * t), DType::float32);
    for (int64_t i = 0; i < n; ++i) {
      const double gi = g.at(i) / t;
      double &pi = p.data<double>()[i], &mi = m.data<double>()[i], &vi = v.data<double>()[i];
      if (i < decayed) pi *= 1 - s.lr * s.wd;
      mi = s.b1 * mi + (1 - s.b1) * gi;
      vi = s.b2 * vi + (1 - s.b2) * gi * gi;
      const double root = std::sqrt(vi) / std::sqrt(1 - std::pow(s.b2, t));
      pi -= s.lr / (1 - std::pow(s.b1, t)) * mi / (root + s.eps);
    }
  }
  return p;
}

}  // namespace

TEST_CASE("adamw: five steps against the formula in double") {
  on_each_device([](const Context& ctx) {
    for (const auto& [n, offset, decayed] :
         {std::array<int64_t, 3>{1, 0, 0}, {1030, 0, 515}, {1029, 1, 1029}, {3, 3, 1}, {2047, 4, 2}}) {
      const Tensor p = five_steps(ctx, n, offset, decayed);
      CHECK(close(p.to(DType::float64), five_steps_in_double(n, decayed), 2e-6) == "");
    }
    CHECK(five_steps(ctx, 0, 0, 0).numel() == 0);
  });
}

TEST_CASE("adamw: the same bits for every thread count") {
  std::vector<Tensor> results;
  for (const int threads : {1, 3}) {
    const Threads scope(threads);
    results.push_back(five_steps(Context(), 40'001, 0, 20'000));
  }
  CHECK(close(results[0], results[1], 0) == "");
}

TEST_CASE("adamw: a NaN scale changes nothing, wrong sizes are refused") {
  on_each_device([](const Context& ctx) {
    Blocks x(70, 0, ctx.device);
    x.g.fill(1);
    const Tensor before = x.p.clone();
    Tensor scale = Tensor::full({1}, std::nan("")).to(ctx.device);
    const Tensor f = factors({}, 1).to(ctx.device);
    GMAIL_RUN(ctx, adamw, x.p, x.m, x.v, x.g, scale, f, 70);
    CHECK(close(x.p, before, 0) == "");
    CHECK(x.v.at(69) == 0);
    scale.fill(1);
    GMAIL_RUN(ctx, adamw, x.p, x.m, x.v, x.g, scale, f, 70);
    CHECK(close(x.p, before, 0) != "");
    CHECK_THROWS_WITH([&] { GMAIL_RUN(ctx, adamw, x.p, x.m, x.v, x.g, scale, f, 71); }(),
                      "[adamw] 71 of 70 elements decay");
    const Tensor shorter = x.g.rows(0, 69);
    CHECK_THROWS_WITH([&] { GMAIL_RUN(ctx, adamw, x.p, x.m, x.v, shorter, scale, f, 70); }(),
                      "[adamw] expected 70 of float32, got (69) of float32");
  });
}
