#include "ops/linear.h"

#include "blas.h"
#include "column_sums.cuh"
#include "temporary.h"

namespace gmail::cuda {
namespace {

// dw of eq. (2), and db with it if the library can: then true.
bool weight_gradient(const Grad& dw, const Grad& db, const Tensor& dy, const Tensor& x, double alpha,
                     Stream stream) {
  const int64_t O = dw.t.size(0), I = dw.t.size(1);
  // no product of float32 operands has a bfloat16 result
  const DType type = dw.t.dtype() == DType::bfloat16 ? DType::bfloat16 : dy.dtype();
  const Tensor left = in_type(dy, type, stream), right = in_type(x, type, stream);
  Product p{.m = O,
            .n = I,
            .k = dy.numel() / O,
            .a = {&left, O, true},
            .b = {&right, I},
            .c = dw.t,
            .ldc = I,
            .alpha = static_cast<float>(alpha),
            .beta = dw.add ? 1.0F : 0.0F};
  if (db && !db.add && alpha == 1 && db.t.dtype() == dw.t.dtype()) {
    p.row_sums = db.t;
    if (try_product(p, stream)) return true;
    p.row_sums = Tensor();
  }
  product(p, stream);
  return false;
}

}  // namespace

void linear_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, const Tensor& residual,
                    double alpha, Stream stream) {
  const auto [N, I, O] = linear_sizes(x, w, b);
  GMAIL_CHECK(y.numel() == N * O && (!residual || residual.numel() == y.numel()), "[linear] y ", y.shape(),
              " and residual ", residual.shape(), " must have ", N, " rows of ", O);
  if (y.numel() == 0) return;
  const Tensor weight = in_type(w, x.dtype(), stream);
  product({.m = N,
           .n = O,
           .k = I,
           .a = {&x, I},
           .b = {&weight, I, true},
           .c = y,
           .ldc = O,
           .alpha = static_cast<float>(alpha),
           .beta = residual ? 1.0F : 0.0F,
           .c_in = residual,
           .bias = b ? in_type(b, y.dtype(), stream) : b},
          stream);
}

void linear_backward(Grad dx, Grad dw, Grad db, const Tensor& dy, const Tensor& x, const Tensor& w,
                     double alpha, Stream stream) {
  const int64_t I = w.size(1), O = w.size(0), N = O == 0 ? 0 : dy.numel() / O;
  if (dx && dx.t.numel() > 0) {
    const Tensor weight = in_type(w, dy.dtype(), stream);
    product({.m = N,
             .n = I,
             .k = O,
             .a = {&dy, O},
             .b = {&weight, I},
             .c = dx.t,
             .ldc = I,
             .alpha = static_cast<float>(alpha),
             .beta = dx.add ? 1.0F : 0.0F},
            stream);
  }
  if (dw && dw.t.numel() > 0 && weight_gradient(dw, db, dy, x, alpha, stream)) return;
  if (db)
    with_device_type(dy.dtype(), [&](auto zero) {
      using T = decltype(zero);
      with_device_type(db.t.dtype(), [&](auto sum) {
        column_sums<1>({grad<decltype(sum)>(db)}, Elements<T>{span<T>(dy), O}, N, O, stream);
      });
    });
}

}  // namespace gmail::cuda
