#include "ops/dropout.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "core/rng.h"
#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

// u = word / 2^32 >= p, in integers
uint32_t dropout_threshold(double p) {
  GMAIL_CHECK(p >= 0 && p < 1, "[dropout] p must be in [0, 1), got ", p);
  return static_cast<uint32_t>(std::min(std::ceil(p * 0x1p32), 0x1p32 - 1));
}

namespace cpu {
namespace {

// y (+)= x m / (1 - p): the forward function, and the backward one with dx for y and dy for x.
template <class T, class Writer>
void apply(Writer y, const T* x, int64_t n, double p, const DropoutKey& key) {
  const uint32_t limit = dropout_threshold(p);
  const T factor = static_cast<T>(1 / (1 - p));
  parallel_for(n, kGrain, [=](int64_t first, int64_t last) {
    std::array<uint32_t, 256> words;
    for (int64_t at = first; at < last; at += 256) {
      const int64_t count = std::min<int64_t>(256, last - at);
      stream_words(std::span(words).first(static_cast<size_t>(count)), at, key.seed, Purpose::dropout,
                   key.step, key.index);
      const uint32_t* const word = words.data();
      const T *const xi = x + at, kept = factor;
      GMAIL_SIMD
      for (int64_t i = 0; i < count; ++i) {
        const T v = xi[i] * kept;  // outside the choice: a load in it would keep the loop scalar
        y.put(at + i, word[i] >= limit ? v : T(0));
      }
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
    with_writer(GradWriter<T>(dx), [&](auto out) { apply<T>(out, dy.data<T>(), dy.numel(), p, key); });
  });
}

}  // namespace cpu
}  // namespace gmail
