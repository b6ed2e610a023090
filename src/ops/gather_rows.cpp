#include "ops/gather_rows.h"

#include <cstring>

#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

GatherSizes gather_rows_sizes(const Tensor& x, const Tensor& index, const Tensor& y) {
  GMAIL_CHECK(x.rank() == 3, "[gather_rows] x must be (B, T, C), got ", x.shape());
  const GatherSizes s{x.size(0), x.size(1), x.size(2)};
  GMAIL_CHECK(index.shape() == Shape{s.B}, "[gather_rows] index must be (", s.B, "), got ", index.shape());
  GMAIL_CHECK((y.shape() == Shape{s.B, s.C}), "[gather_rows] x ", x.shape(), " does not give ", y.shape());
  return s;
}

namespace cpu {
namespace {

using Sizes = GatherSizes;

Sizes check(const Tensor& x, const Tensor& index, const Tensor& y) {
  const Sizes s = gather_rows_sizes(x, index, y);
  const int32_t* at = index.data<int32_t>();
  for (int64_t b = 0; b < s.B; ++b)
    GMAIL_CHECK(at[b] >= 0 && at[b] < s.T, "[gather_rows] index ", b, " is ", at[b], ", expected 0 .. ",
                s.T - 1);
  return s;
}

template <class T>
void backward(GradWriter<T> dx, const T* dy, const int32_t* at, Sizes s) {
  parallel_for(s.B, rows_per_chunk(s.T * s.C), [=](int64_t begin, int64_t end) {
    if (!dx.add)
      std::memset(dx.p + begin * s.T * s.C, 0, static_cast<size_t>((end - begin) * s.T * s.C) * sizeof(T));
    for (int64_t b = begin; b < end; ++b) {
      const int64_t row = (b * s.T + at[b]) * s.C;
      GMAIL_SIMD
      for (int64_t c = 0; c < s.C; ++c) dx.put(row + c, dy[b * s.C + c]);
    }
  });
}

}  // namespace

void gather_rows_forward(Tensor& y, const Tensor& x, const Tensor& index) {
  const Sizes s = check(x, index, y);
  const int32_t* at = index.data<int32_t>();
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* from = x.data<T>();
    T* to = y.data<T>();
    for (int64_t b = 0; b < s.B; ++b)
      std::memcpy(to + b * s.C, from + (b * s.T + at[b]) * s.C, static_cast<size_t>(s.C) * sizeof(T));
  });
}

void gather_rows_backward(Grad dx, const Tensor& dy, const Tensor& index) {
  if (!dx) return;
  const Sizes s = check(dx.t, index, dy);
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    backward<T>(GradWriter<T>(dx), dy.data<T>(), index.data<int32_t>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail
