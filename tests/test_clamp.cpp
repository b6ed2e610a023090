// Protects the clamp: both bounds, what lies between them, and a NaN, in every element.
#include "ops/clamp.h"

#include <cmath>
#include <limits>

#include "catch.h"
#include "core/dispatch.h"
#include "devices.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("clamp: between the bounds, a NaN stays") {
  on_each_device([](const Context& ctx) {
    const float inf = std::numeric_limits<float>::infinity();
    std::vector<float> values(70, 0.5F), expected = values;
    values[0] = -3, expected[0] = 0;
    values[1] = inf, expected[1] = 4.5F;
    values[68] = -inf, expected[68] = 0;
    values[69] = 4.75F, expected[69] = 4.5F;
    values[40] = std::nanf("");
    Tensor x = Tensor::from(values, {70}).to(ctx.device).clone();
    GMAIL_RUN(ctx, clamp, x, 0, 4.5);
    for (int64_t i = 0; i < 70; ++i)
      CHECK(
          (i == 40 ? std::isnan(x.at(i)) : x.at(i) == static_cast<double>(expected[static_cast<size_t>(i)])));
  });
}
