// Protects the moving average's update.
#include "ops/ema.h"

#include "catch.h"
#include "core/dispatch.h"
#include "devices.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("ema: e <- d e + (1 - d) p, tails and all") {
  on_each_device([](const Context& ctx) {
    for (const int64_t n : {1, 64, 1027}) {
      const Tensor p = random({n}, 1, DType::float32), before = random({n + 1}, 2, DType::float32);
      const Tensor factors = Tensor::from(std::vector<float>{0.75F, 0.25F}, {2}).to(ctx.device);
      for (const int64_t offset : {0, 1}) {
        const Tensor all = before.to(ctx.device).clone(), there = p.to(ctx.device);
        Tensor e = all.rows(offset, n + offset);
        GMAIL_RUN(ctx, ema, e, there, factors);
        Tensor expected = Tensor::empty({n}, DType::float64);
        for (int64_t i = 0; i < n; ++i)
          expected.data<double>()[i] = 0.75 * before.at(i + offset) + 0.25 * p.at(i);
        CHECK(close(e.to(Device::cpu).to(DType::float64), expected, 1e-6) == "");
        CHECK(all.at(offset == 0 ? n : 0) == before.at(offset == 0 ? n : 0));
      }
    }
    Tensor e = Tensor::zeros({3}, DType::float32, ctx.device);
    const Tensor one = Tensor::zeros({1}, DType::float32, ctx.device);
    CHECK_THROWS_WITH([&] { GMAIL_RUN(ctx, ema, e, e, one); }(), "[ema] factors (1), expected (2)");
  });
}
