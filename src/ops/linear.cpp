#include "ops/linear.h"

#include <atomic>

#include "core/kept_copy.h"
#include "ops/gemm.h"
#include "ops/reduce.h"
#include "ops/simd.h"

namespace gmail {

LinearSizes linear_sizes(const Tensor& x, const Tensor& w, const Tensor& b) {
  GMAIL_CHECK(w.rank() == 2, "[linear] weight must be (O, I), got ", w.shape());
  GMAIL_CHECK(x.rank() >= 1 && x.size(-1) == w.size(1), "[linear] inner dimensions differ: x ", x.shape(),
              ", weight ", w.shape());
  GMAIL_CHECK(!b || b.shape() == Shape{w.size(0)}, "[linear] bias must be (", w.size(0), "), got ",
              b.shape());
  return {x.numel() / std::max<int64_t>(1, w.size(1)), w.size(1), w.size(0)};
}

namespace cpu {
namespace {

using Sizes = LinearSizes;

// Packing costs about as much as a product with sixteen rows. For many rows it is not worth a second copy in
// memory.
constexpr int64_t kPackedRows = 1024;

std::atomic<int64_t> multiply_adds{0};

template <class T>
void forward(T* y, const T* x, const Tensor& w, const T* b, const T* residual, Sizes s, double alpha) {
  Tensor packed;  // absent: w is read as it is
  if (s.N > kGemmSmall && s.N < kPackedRows)
    packed = kept_copy(w, "packed for linear", w.dtype(), [&] {
      Tensor made = Tensor::empty({packed_size<T>(s.I, s.O)}, w.dtype());
      pack_b(made.data<T>(), w.data<T>(), s.I, true, s.I, s.O);
      return made;
    });
  gemm<T>({.m = s.N,
           .n = s.O,
           .k = s.I,
           .a = x,
           .lda = s.I,
           .b = w.data<T>(),
           .ldb = s.I,
           .trans_b = true,
           .c = y,
           .ldc = s.O,
           .alpha = static_cast<T>(alpha),
           .beta = residual ? T(1) : T(0),
           .c_in = residual,
           .ld_in = s.O,
           .bias = b,
           .packed_b = packed ? packed.data<T>() : nullptr});
}

template <class T>
void backward_b(GradWriter<T> db, const T* dy, Sizes s) {
  const Scratch<T> sums(s.O);
  sum_rows(sums.data(), s.N, s.O, [&](int64_t n, T* partial) {
    const T* row = dy + n * s.O;
    GMAIL_SIMD
    for (int64_t o = 0; o < s.O; ++o) partial[o] += row[o];
  });
  for (int64_t o = 0; o < s.O; ++o) db.put(o, sums[o]);
}

}  // namespace

void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& residual,
                    double alpha) {
  const Sizes s = linear_sizes(x, w, b);
  GMAIL_CHECK(y.numel() == s.N * s.O && (!residual || residual.numel() == y.numel()), "[linear] y ",
              y.shape(), " and residual ", residual.shape(), " must have ", s.N, " rows of ", s.O);
  multiply_adds += s.N * s.I * s.O;
  with_float_type(x.dtype(), [&](auto zero) {
    using T = decltype(zero);
    forward<T>(y.data<T>(), x.data<T>(), w, b ? b.data<T>() : nullptr,
               residual ? residual.data<T>() : nullptr, s, alpha);
  });
}

void linear_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     double alpha) {
  const int64_t I = w.size(1), O = w.size(0);
  const Sizes s{dy.numel() / std::max<int64_t>(1, O), I, O};
  multiply_adds += ((dx ? 1 : 0) + (dw ? 1 : 0)) * s.N * I * O;
  with_float_type(dy.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T* const pdy = dy.data<T>();
    if (dx)
      gemm<T>({.m = s.N,
               .n = I,
               .k = O,
               .a = pdy,
               .lda = O,
               .b = w.data<T>(),
               .ldb = I,
               .c = dx.t.data<T>(),
               .ldc = I,
               .alpha = static_cast<T>(alpha),
               .beta = dx.add ? T(1) : T(0)});
    if (dw)
      gemm<T>({.m = O,
               .n = I,
               .k = s.N,
               .a = pdy,
               .lda = O,
               .trans_a = true,
               .b = x.data<T>(),
               .ldb = I,
               .c = dw.t.data<T>(),
               .ldc = I,
               .alpha = static_cast<T>(alpha),
               .beta = dw.add ? T(1) : T(0)});
    if (db) backward_b<T>(GradWriter<T>(db), pdy, s);
  });
}

int64_t linear_multiply_adds() { return multiply_adds; }

}  // namespace cpu
}  // namespace gmail
