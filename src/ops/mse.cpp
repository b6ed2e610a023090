#include "ops/mse.h"

#include "ops/grain.h"
#include "ops/reduce.h"
#include "ops/simd.h"

namespace gmail {

MseSizes weighted_mse_sizes(const Tensor& prediction, const Tensor& target, const Tensor& weight) {
  GMAIL_CHECK(prediction.rank() >= 1 && prediction.numel() > 0,
              "[weighted_mse] prediction is empty: ", prediction.shape());
  GMAIL_CHECK(prediction.shape() == target.shape(), "[weighted_mse] prediction ", prediction.shape(),
              ", target ", target.shape());
  const int64_t B = prediction.size(0);
  GMAIL_CHECK(!weight || weight.shape() == Shape{B}, "[weighted_mse] weight must be (", B, "), got ",
              weight.shape());
  return {B, prediction.numel() / B};
}

namespace cpu {
namespace {

using Sizes = MseSizes;

constexpr int64_t kPiece = 1024;  // elements summed in the tensor's own precision, before double takes over

template <class T>
double forward(const T* prediction, const T* target, const T* weight, Sizes s) {
  const int64_t pieces = (s.D + kPiece - 1) / kPiece;
  double loss = 0;
  sum_rows(&loss, s.B * pieces, 1, [=](int64_t k, double* partial) {
    const int64_t b = k / pieces, begin = k % pieces * kPiece, end = std::min(s.D, begin + kPiece);
    const T *p = prediction + b * s.D, *t = target + b * s.D;
    T sum = 0;
    GMAIL_SIMD_SUM(sum)
    for (int64_t d = begin; d < end; ++d) sum += (p[d] - t[d]) * (p[d] - t[d]);
    *partial += static_cast<double>(weight ? weight[b] : T(1)) * static_cast<double>(sum);
  });
  return loss / static_cast<double>(s.B * s.D);
}

template <class T>
void backward(GradWriter<T> dp, T dloss, const T* prediction, const T* target, const T* weight, Sizes s) {
  parallel_pieces(s.B, s.D, [=](int64_t b, int64_t begin, int64_t end) {
    const int64_t at = b * s.D;
    const T factor = dloss * (weight ? weight[b] : T(1)) * T(2) / static_cast<T>(s.B * s.D);
    GMAIL_SIMD
    for (int64_t i = at + begin; i < at + end; ++i)
      dp.put(i, factor * (prediction[i] - target[i]));  // eq. (2)
  });
}

}  // namespace

void weighted_mse_forward(Tensor& loss, const Tensor& prediction, const Tensor& target,
                          const Tensor& weight) {
  const Sizes s = weighted_mse_sizes(prediction, target, weight);
  with_float_type(prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    *loss.data<T>() = static_cast<T>(
        forward<T>(prediction.data<T>(), target.data<T>(), weight ? weight.data<T>() : nullptr, s));
  });
}

void weighted_mse_backward(Grad dprediction, const Tensor& dloss, const Tensor& prediction,
                           const Tensor& target, const Tensor& weight) {
  if (!dprediction) return;
  const Sizes s = weighted_mse_sizes(prediction, target, weight);
  with_float_type(prediction.dtype(), [&](auto zero) {
    using T = decltype(zero);
    backward<T>(GradWriter<T>(dprediction), *dloss.data<T>(), prediction.data<T>(), target.data<T>(),
                weight ? weight.data<T>() : nullptr, s);
  });
}

}  // namespace cpu
}  // namespace gmail
