#include "ops/dropout.h"

#include <cmath>

#include "core/rng.h"
#include "ops/grain.h"

namespace gmail::cpu {
namespace {

// u = word / 2^32 >= p, in integers
uint64_t threshold(double p) {
  GMAIL_CHECK(p >= 0 && p < 1, "[dropout] p must be in [0, 1), got ", p);
  return static_cast<uint64_t>(std::ceil(p * 0x1p32));
}

// y (+)= x m / (1 - p): the forward function, and the backward one with dx for y and dy for x.
template <class T>
void apply(GradWriter<T> y, const T* x, int64_t n, double p, const DropoutKey& key) {
  const uint64_t limit = threshold(p);
  const T factor = static_cast<T>(1 / (1 - p));
  parallel_for((n + 3) / 4, kGrain / 4, [=](int64_t begin, int64_t end) {
    for (int64_t k = begin; k < end; ++k) {
      const PhiloxBlock words =
          stream_block(key.seed, Purpose::dropout, key.step, key.index, static_cast<uint32_t>(k));
      for (int64_t i = 4 * k; i < std::min(4 * k + 4, n); ++i)
        y.put(i, words[static_cast<size_t>(i % 4)] >= limit ? x[i] * factor : T(0));
    }
  });
}

}  // namespace

void dropout_forward(Tensor& y, const Tensor& x, double p, const DropoutKey& key) {
  dropout_backward({y, false}, x, p, key);
}

void dropout_backward(Grad dx, const Tensor& dy, double p, const DropoutKey& key) {
  if (!dx) return;
  GMAIL_CHECK(dx.t.shape() == dy.shape(), "[dropout] shapes differ: ", dx.t.shape(), " and ", dy.shape());
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    apply<T>(GradWriter<T>(dx), dy.data<T>(), dy.numel(), p, key);
  });
}

}  // namespace gmail::cpu
