// Protects the vectorisable functions: error in units of the last place against double, and the special
// values.
#include "catch.h"

#include <cmath>
#include <limits>

#include "ops/simd_math.h"

using namespace gmail::cpu;

namespace {
constexpr float kInf = std::numeric_limits<float>::infinity(), kNan = std::numeric_limits<float>::quiet_NaN();

// largest |f(x) - exact(x)| in units of the last place of exact(x), over all floats of a stride between low
// and high
template <class F, class G>
double worst_ulp(float low, float high, F&& f, G&& exact) {
  double worst = 0;
  const auto check = [&](float x) {
    const double e = exact(static_cast<double>(x));
    const auto rounded = static_cast<float>(std::abs(e));
    const double ulp = static_cast<double>(std::nextafter(rounded, kInf)) - static_cast<double>(rounded);
    const double error = std::abs(static_cast<double>(f(x)) - e) / ulp;
    if (!(error <= worst)) worst = error;
  };
  for (int i = 0; i <= 40000; ++i) check(low + (high - low) * static_cast<float>(i) / 40000.0F);
  for (float x = 1e-30F; x < high; x *= 1.01F) check(x);
  for (float x = -1e-30F; x > low; x *= 1.01F) check(x);
  return worst;
}
}  // namespace

TEST_CASE("simd_math: float errors in units of the last place") {
  CHECK(worst_ulp(
            -87, 88.7F, [](float x) { return vexp(x); }, [](double x) { return std::exp(x); }) < 2);
  CHECK(worst_ulp(
            -103, 0, [](float x) { return vexp(x); }, [](double x) { return std::exp(x); }) < 2);
  CHECK(worst_ulp(
            1e-37F, 1e30F, [](float x) { return vlog(x); }, [](double x) { return std::log(x); }) < 2);
  CHECK(worst_ulp(
            0.3F, 3, [](float x) { return vlog(x); }, [](double x) { return std::log(x); }) < 2.5);
  CHECK(worst_ulp(
            0, 2, [](float x) { return vlog1p(x); }, [](double x) { return std::log1p(x); }) < 3);
  CHECK(worst_ulp(
            -12, 12, [](float x) { return vtanh(x); }, [](double x) { return std::tanh(x); }) < 2);
  CHECK(worst_ulp(
            -5, 5, [](float x) { return verf(x); }, [](double x) { return std::erf(x); }) < 2);
  const auto logistic = [](double x) { return 1 / (1 + std::exp(-x)); };
  CHECK(worst_ulp(
            -87, 30, [](float x) { return vsigmoid(x); }, logistic) < 3);
}

TEST_CASE("simd_math: special values") {
  CHECK(vexp(0.0F) == 1);
  CHECK(vexp(kInf) == kInf);
  CHECK(vexp(-kInf) == 0);
  CHECK(vexp(88.9F) == kInf);
  CHECK(vexp(-104.5F) == 0);
  CHECK(vexp(-100.0F) == Approx(std::exp(-100.0)).epsilon(0.02));  // a denormal
  CHECK(vlog(1.0F) == 0);
  CHECK(vlog(0.0F) == -kInf);
  CHECK(vlog(kInf) == kInf);
  CHECK(std::isnan(vlog(-1.0F)));
  CHECK(vlog(1e-40F) == Approx(std::log(1e-40)).epsilon(1e-5));
  CHECK(vtanh(kInf) == 1);
  CHECK(vtanh(-kInf) == -1);
  CHECK(verf(kInf) == 1);
  CHECK(verf(-kInf) == -1);
  CHECK(vsigmoid(kInf) == 1);
  CHECK(vsigmoid(-kInf) == 0);
  for (const float v : {vexp(kNan), vlog(kNan), vlog1p(kNan), vtanh(kNan), verf(kNan), vsigmoid(kNan)})
    CHECK(std::isnan(v));
  CHECK(std::signbit(vtanh(-0.0F)));
  CHECK(std::signbit(verf(-0.0F)));
}
