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

using Ours = float (*)(float);
using Exact = double (*)(double);

TEST_CASE("simd_math: float errors in units of the last place") {
  const Ours exp = vexp, log = vlog, log1p = vlog1p, tanh = vtanh, logistic = vsigmoid<float>;
  const Ours Phi = [](float x) { return vnormal(x).Phi; };
  const Exact exp64 = std::exp, log64 = std::log, log1p64 = std::log1p, tanh64 = std::tanh;
  const Exact logistic64 = [](double x) { return 1 / (1 + std::exp(-x)); };
  const Exact Phi64 = [](double x) { return 0.5 * std::erfc(-x * std::sqrt(0.5)); };
  CHECK(worst_ulp(-86.9F, 88.7F, exp, exp64) < 2);
  CHECK(worst_ulp(1e-37F, 1e30F, log, log64) < 2);
  CHECK(worst_ulp(0.3F, 3, log, log64) < 2.5);
  CHECK(worst_ulp(0, 2, log1p, log1p64) < 3);
  CHECK(worst_ulp(-12, 12, tanh, tanh64) < 2);
  CHECK(worst_ulp(-86, 30, logistic, logistic64) < 3);
  CHECK(worst_ulp(-1, 6, Phi, Phi64) < 4);
  CHECK(worst_ulp(-12, -1, Phi, Phi64) < 100);  // the rounding of x^2 / 2 before exp
}

TEST_CASE("simd_math: special values") {
  CHECK(vexp(0.0F) == 1);
  CHECK(vexp(kInf) == kInf);
  CHECK(vexp(-kInf) == 0);
  CHECK(vexp(88.9F) == kInf);
  CHECK(vexp(1e30F) == kInf);
  CHECK(vexp(-87.5F) == 0);  // no denormal results
  CHECK(vexp(-1e30F) == 0);
  CHECK(vlog(1.0F) == 0);
  CHECK(vlog(0.0F) == -kInf);
  CHECK(vlog(kInf) == kInf);
  CHECK(std::isnan(vlog(-1.0F)));
  CHECK(vlog(1e-40F) == Approx(std::log(1e-40)).epsilon(1e-5));
  CHECK(vtanh(kInf) == 1);
  CHECK(vtanh(-kInf) == -1);
  CHECK(vnormal(kInf).Phi == 1);
  CHECK(vnormal(-kInf).Phi == 0);
  CHECK(vnormal(0.0F).Phi == Approx(0.5).epsilon(1e-7));
  CHECK(vsigmoid(kInf) == 1);
  CHECK(vsigmoid(-kInf) == 0);
  for (const float v : {vexp(kNan), vlog(kNan), vlog1p(kNan), vtanh(kNan), vsigmoid(kNan), vnormal(kNan).Phi})
    CHECK(std::isnan(v));
  CHECK(std::signbit(vtanh(-0.0F)));
}
