#include "ops/ddim.h"

#include "device_span.h"

namespace gmail::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void ddim_kernel(DeviceSpan<float> x, DeviceSpan<const T> p, DeviceSpan<const double> factors,
                            Prediction prediction, DdimSizes s) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i >= s.n) return;
  const double at = factors[0], st = factors[1], as = factors[2], ss = factors[3], clamp = factors[5];
  const auto g = static_cast<float>(factors[4]);
  const float cond = load(p[i]), uncond = s.guided ? load(p[s.n + i]) : 0.0F;
  const double xi = x[i], pi = s.guided ? uncond + g * (cond - uncond) : cond;  // (1)
  double x0 = prediction == Prediction::sample    ? pi
              : prediction == Prediction::epsilon ? (xi - st * pi) / at
                                                  : at * xi - st * pi;  // (2)
  if (clamp > 0) x0 = x0 < -clamp ? -clamp : x0 > clamp ? clamp : x0;   // a NaN stays one
  const double eps = (xi - at * x0) / st;
  x[i] = static_cast<float>(as * x0 + ss * eps);  // (3)
}

}  // namespace

void ddim_step(Tensor& x, const Tensor& p, const Tensor& factors, Prediction prediction, Stream stream) {
  const DdimSizes s = ddim_sizes(x, p, factors);
  with_device_type(p.dtype(), [&](auto zero) {
    using T = decltype(zero);
    launch(stream, ddim_kernel<T>, blocks_for(s.n, kThreads), kThreads, 0, span<float>(x), span<T>(p),
           span<double>(factors), prediction, s);
  });
}

}  // namespace gmail::cuda
