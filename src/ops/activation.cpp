#include "ops/activation.h"

#include "ops/activation_math.h"
#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail::cpu {
namespace {

void check(const Tensor& a, const Tensor& b) {
  GMAIL_CHECK(a.shape() == b.shape(), "[activation] shapes differ: ", a.shape(), " and ", b.shape());
}

template <class F, class T>
GMAIL_WIDEST void values(T* y, const T* x, int64_t begin, int64_t end) {
  GMAIL_SIMD
  for (int64_t i = begin; i < end; ++i) y[i] = F::value(x[i]);
}

template <class F, class T>
void forward(T* y, const T* x, int64_t n) {
  parallel_for(n, kGrain, [=](int64_t begin, int64_t end) { values<F>(y, x, begin, end); });
}

template <class F, class T, class Writer>
GMAIL_WIDEST void slopes(Writer dx, const T* dy, const T* x, int64_t begin, int64_t end) {
  GMAIL_SIMD
  for (int64_t i = begin; i < end; ++i) dx.put(i, dy[i] * F::slope(x[i]));
}

template <class F, class T>
void backward(GradWriter<T> dx, const T* dy, const T* x, int64_t n) {
  with_writer(dx, [=](auto out) {
    parallel_for(n, kGrain, [=](int64_t begin, int64_t end) { slopes<F>(out, dy, x, begin, end); });
  });
}

}  // namespace

void activation_forward(Tensor& y, const Tensor& x, Activation kind) {
  check(y, x);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_activation(kind, [&](auto f) { forward<decltype(f)>(y.data<T>(), x.data<T>(), x.numel()); });
  });
}

void activation_backward(Grad dx, const Tensor& dy, const Tensor& x, Activation kind) {
  if (!dx) return;
  check(dy, x);
  check(dx.t, x);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    with_activation(kind, [&](auto f) {
      backward<decltype(f)>(GradWriter<T>(dx), dy.data<T>(), x.data<T>(), x.numel());
    });
  });
}

}  // namespace gmail::cpu
