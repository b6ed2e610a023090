#include "ops/cross_entropy.h"

#include <cmath>
#include <limits>

#include "ops/grain.h"
#include "ops/simd.h"
#include "ops/simd_math.h"

namespace gmail {

RowSizes cross_entropy_sizes(const Tensor& logits, const Tensor& targets, const Tensor& mask) {
  GMAIL_CHECK(logits.rank() == 2, "[softmax_cross_entropy] logits must be (N, V), got ", logits.shape());
  const int64_t N = logits.size(0);
  for (const Tensor* t : {&targets, &mask})
    GMAIL_CHECK(!*t || t->shape() == Shape{N}, "[softmax_cross_entropy] targets and mask must be (", N,
                "), got ", t->shape());
  return {N, logits.size(1)};
}

namespace cpu {
namespace {

struct Rows {
  int64_t N, V, counted;  // counted: rows with mask != 0
  const int32_t *target, *mask;
  [[nodiscard]] bool counts(int64_t n) const { return mask == nullptr || mask[n] != 0; }
};

Rows check(const Tensor& logits, const Tensor& targets, const Tensor& mask) {
  const auto [N, V] = cross_entropy_sizes(logits, targets, mask);
  Rows s{N, V, 0, targets.data<int32_t>(), mask ? mask.data<int32_t>() : nullptr};
  for (int64_t n = 0; n < s.N; ++n) {
    if (!s.counts(n)) continue;
    ++s.counted;
    GMAIL_CHECK(s.target[n] >= 0 && s.target[n] < s.V, "[softmax_cross_entropy] the target of row ", n,
                " is ", s.target[n], ", expected 0 .. ", s.V - 1);
  }
  return s;
}

template <class T>
T log_sum_exp(const T* z, int64_t V) {
  T m = -std::numeric_limits<T>::infinity(), sum = 0;
  GMAIL_SIMD_MAX(m)
  for (int64_t v = 0; v < V; ++v) m = z[v] > m ? z[v] : m;
  GMAIL_SIMD_SUM(sum)
  for (int64_t v = 0; v < V; ++v) sum += vexp(z[v] - m);
  return m + std::log(sum);
}

template <class T>
double forward(T* l, const T* z, const Rows& s) {
  parallel_for(s.N, rows_per_chunk(s.V), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) l[n] = s.counts(n) ? log_sum_exp(z + n * s.V, s.V) : T(0);
  });
  double sum = 0;
  for (int64_t n = 0; n < s.N; ++n)
    if (s.counts(n)) sum += static_cast<double>(l[n] - z[n * s.V + s.target[n]]);
  return s.counted == 0 ? 0 : sum / static_cast<double>(s.counted);
}

template <class T>
void backward(GradWriter<T> dz, T dloss, const T* z, const T* l, const Rows& s) {
  const T factor = dloss / static_cast<T>(std::max<int64_t>(1, s.counted));
  parallel_for(s.N, rows_per_chunk(s.V), [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      const T* zn = z + n * s.V;
      const int64_t at = n * s.V;
      const T ln = l[n];
      if (s.counts(n)) {
        GMAIL_SIMD
        for (int64_t v = 0; v < s.V; ++v) dz.put(at + v, factor * vexp(zn[v] - ln));  // eq. (2)
        dz.p[at + s.target[n]] -= factor;
      } else if (!dz.add) {
        std::fill_n(dz.p + at, s.V, T(0));
      }
    }
  });
}

}  // namespace

void softmax_cross_entropy_forward(Tensor& loss, Tensor& l, const Tensor& logits, const Tensor& targets,
                                   const Tensor& mask) {
  const Rows s = check(logits, targets, mask);
  with_float_type(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    *loss.data<T>() = static_cast<T>(forward<T>(l.data<T>(), logits.data<T>(), s));
  });
}

void softmax_cross_entropy_backward(Grad dlogits, const Tensor& dloss, const Tensor& logits, const Tensor& l,
                                    const Tensor& targets, const Tensor& mask) {
  if (!dlogits) return;
  const Rows s = check(logits, targets, mask);
  with_float_type(logits.dtype(), [&](auto zero) {
    using T = decltype(zero);
    backward<T>(GradWriter<T>(dlogits), *dloss.data<T>(), logits.data<T>(), l.data<T>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail
