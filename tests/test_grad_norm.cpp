// Protects the global norm and the factor that clips it: exact sums, tails, arrays that are not aligned, and
// a norm that is not finite, which no later one makes good.
#include "ops/grad_norm.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "core/dispatch.h"
#include "devices.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

namespace {

struct Norm {
  const Context& ctx;
  Tensor norm = Tensor::zeros({1}, DType::float64, ctx.device), scale = Tensor::full({1}, 1).to(ctx.device);
  void of(const Tensor& grads, double clip) {
    const Tensor there = grads.to(ctx.device);
    GMAIL_RUN(ctx, grad_norm, norm, scale, there, clip);
  }
};

}  // namespace

TEST_CASE("grad_norm: norm and factor") {
  on_each_device([](const Context& ctx) {
    Norm n{ctx};
    Tensor g = Tensor::zeros({10'003});
    g.data<float>()[0] = 3;
    g.data<float>()[10'002] = -4;
    n.of(g, 0);
    CHECK(n.norm.item() == 5);
    CHECK(n.scale.item() == 1);
    n.of(g, 1);
    CHECK(n.scale.item() == Approx(1 / (5 + 1e-6)).epsilon(1e-7));
    n.of(g, 6);
    CHECK(n.scale.item() == 1);
    n.of(Tensor::empty({0}), 1);
    CHECK(n.norm.item() == 0);
  });
}

TEST_CASE("grad_norm: every element counts once, whatever the size and the alignment") {
  on_each_device([](const Context& ctx) {
    for (const int64_t size : {1, 31, 1024, 1025, 5000}) {
      for (const int64_t offset : {0, 1, 4}) {
        const Tensor whole = random({size + offset}, static_cast<uint64_t>(size), DType::float32);
        double sum = 0;
        for (int64_t i = offset; i < size + offset; ++i) sum += whole.at(i) * whole.at(i);
        const Tensor there = whole.to(ctx.device);
        Norm n{ctx};
        n.of(there.rows(offset, size + offset), 0);
        CHECK(n.norm.item() == Approx(std::sqrt(sum)).epsilon(1e-12));
      }
    }
  });
}

TEST_CASE("grad_norm: what is not finite makes the factor NaN for good") {
  on_each_device([](const Context& ctx) {
    const float largest = std::numeric_limits<float>::max();
    for (const float bad : {std::nanf(""), std::numeric_limits<float>::infinity()}) {
      Norm n{ctx};
      n.of(Tensor::full({7}, largest), 1);
      CHECK(std::isfinite(n.norm.item()));  // no square overflows in double
      CHECK(n.scale.item() < 1e-38);
      Tensor g = Tensor::full({777}, 1);
      g.data<float>()[776] = bad;
      n.of(g, 1);
      CHECK_FALSE(std::isfinite(n.norm.item()));
      CHECK(std::isnan(n.scale.item()));
      g.data<float>()[776] = 1;
      n.of(g, 1);
      CHECK(std::isfinite(n.norm.item()));
      CHECK(std::isnan(n.scale.item()));
      n.scale.fill(1);
      n.of(g, 0);
      CHECK(n.scale.item() == 1);
    }
  });
}
