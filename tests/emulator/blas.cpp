// The twin of cuda/blas.cpp: the definition, in double.
#include "blas.h"

#include "device_span.h"

namespace gmail::cuda {
namespace {

double element(const Tensor& t, int64_t i) {
  double v = 0;
  with_device_type(t.dtype(), [&](auto zero) { v = static_cast<double>(load(span<decltype(zero)>(t)[i])); });
  return v;
}

}  // namespace

void product(const Product& p, Stream) {
  Tensor c = p.c;
  GMAIL_CHECK(p.a.t->dtype() == p.b.t->dtype(), "[product] types differ: ", name_of(p.a.t->dtype()), " and ",
              name_of(p.b.t->dtype()));
  for (int64_t l = 0; l < p.batch; ++l)
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j) {
        double sum = 0;
        for (int64_t x = 0; x < p.k; ++x)
          sum += element(*p.a.t, l * p.a.stride + (p.a.trans ? x * p.a.ld + i : i * p.a.ld + x)) *
                 element(*p.b.t, l * p.b.stride + (p.b.trans ? j * p.b.ld + x : x * p.b.ld + j));
        const int64_t at = l * p.stride_c + i * p.ldc + j;
        double v = static_cast<double>(p.alpha) * sum;
        if (p.beta != 0) v += static_cast<double>(p.beta) * element(p.c_in ? p.c_in : c, at);
        if (p.bias) v += element(p.bias, j);
        with_device_type(c.dtype(), [&](auto zero) {
          using T = decltype(zero);
          span<T>(c)[at] = store<T>(static_cast<float>(v));
        });
      }
}

}  // namespace gmail::cuda
