#include "ops/concat.h"

#include <cstring>

#include "ops/grain.h"
#include "ops/simd.h"

namespace gmail {

PieceSizes piece_sizes(const Tensor& whole, const Tensor& piece, int dim, int64_t begin) {
  const int64_t n = piece.size(dim), total = whole.size(dim);
  GMAIL_CHECK(whole.rank() == piece.rank() && piece.shape() == whole.shape().with(dim, n) && begin >= 0 &&
                  begin + n <= total,
              "[concat] ", piece.shape(), " at ", begin, " of dimension ", dim, " does not fit in ",
              whole.shape());
  int64_t outer = 1, inner = 1;
  const int at = dim < 0 ? dim + whole.rank() : dim;
  for (int d = 0; d < at; ++d) outer *= whole.size(d);
  for (int d = at + 1; d < whole.rank(); ++d) inner *= whole.size(d);
  return {outer, total * inner, n * inner, begin * inner};
}

namespace cpu {
namespace {

using Sizes = PieceSizes;

template <class T>
void put_into(T* whole, const T* piece, Sizes s) {
  parallel_pieces(s.outer, s.piece, [=](int64_t row, int64_t begin, int64_t end) {
    std::memcpy(whole + row * s.width + s.offset + begin, piece + row * s.piece + begin,
                static_cast<size_t>(end - begin) * sizeof(T));
  });
}

template <class T>
void take_from(GradWriter<T> piece, const T* whole, Sizes s) {
  parallel_pieces(s.outer, s.piece, [=](int64_t row, int64_t begin, int64_t end) {
    const T* from = whole + row * s.width + s.offset;
    GMAIL_SIMD
    for (int64_t i = begin; i < end; ++i) piece.put(row * s.piece + i, from[i]);
  });
}

template <class T>
void slice_gradient(GradWriter<T> dx, const T* dy, Sizes s) {
  if (!dx.add)
    parallel_for(s.outer * s.width, kGrain, [=](int64_t begin, int64_t end) {
      std::memset(dx.p + begin, 0, static_cast<size_t>(end - begin) * sizeof(T));
    });
  parallel_pieces(s.outer, s.piece, [=](int64_t row, int64_t begin, int64_t end) {
    const T* from = dy + row * s.piece;
    GMAIL_SIMD
    for (int64_t i = begin; i < end; ++i) dx.put(row * s.width + s.offset + i, from[i]);
  });
}

}  // namespace

void concat_forward(Tensor& y, const std::vector<Tensor>& parts, int dim) {
  int64_t begin = 0;
  for (const Tensor& part : parts) {
    const Sizes s = piece_sizes(y, part, dim, begin);
    with_float_type(y.dtype(), [&](auto zero) {
      using T = decltype(zero);
      put_into<T>(y.data<T>(), part.data<T>(), s);
    });
    begin += part.size(dim);
  }
  GMAIL_CHECK(begin == y.size(dim), "[concat] the parts fill ", begin, " of ", y.size(dim), " in dimension ",
              dim);
}

void concat_backward(Grad dpart, const Tensor& dy, int dim, int64_t begin) {
  if (!dpart) return;
  const Sizes s = piece_sizes(dy, dpart.t, dim, begin);
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    take_from<T>(GradWriter<T>(dpart), dy.data<T>(), s);
  });
}

void slice_forward(Tensor& y, const Tensor& x, int dim, int64_t begin) {
  const Sizes s = piece_sizes(x, y, dim, begin);
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    take_from<T>(GradWriter<T>(Grad{y, false}), x.data<T>(), s);
  });
}

void slice_backward(Grad dx, const Tensor& dy, int dim, int64_t begin) {
  if (!dx) return;
  const Sizes s = piece_sizes(dx.t, dy, dim, begin);
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    slice_gradient<T>(GradWriter<T>(dx), dy.data<T>(), s);
  });
}

}  // namespace cpu
}  // namespace gmail
