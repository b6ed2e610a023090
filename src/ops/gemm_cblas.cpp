// Products by a CBLAS, if the build was told to use one (-DGMAIL_CBLAS=ON). What it cannot do in one call
// (bias, another C) is laid into C first. Small products and those with a packed B stay with the built-in
// kernels.
#include "ops/gemm_internal.h"

#if GMAIL_CBLAS
#include <cblas.h>

#include <algorithm>
#include <limits>

namespace gmail::cpu {
namespace {

template <class T>
T prepare_c(const Gemm<T>& g) {
  if (!g.bias && !g.c_in) return g.beta;
  for (int64_t i = 0; i < g.m; ++i)
    for (int64_t j = 0; j < g.n; ++j) {
      T v = g.beta == T(0) ? T(0) : g.beta * (g.c_in ? g.c_in[i * g.ld_in + j] : g.c[i * g.ldc + j]);
      if (g.bias) v += g.bias[j];
      g.c[i * g.ldc + j] = v;
    }
  return T(1);
}

void call(const Gemm<float>& g, float beta, CBLAS_TRANSPOSE a, CBLAS_TRANSPOSE b) {
  cblas_sgemm(CblasRowMajor, a, b, static_cast<int>(g.m), static_cast<int>(g.n), static_cast<int>(g.k),
              g.alpha, g.a, static_cast<int>(g.lda), g.b, static_cast<int>(g.ldb), beta, g.c,
              static_cast<int>(g.ldc));
}
void call(const Gemm<double>& g, double beta, CBLAS_TRANSPOSE a, CBLAS_TRANSPOSE b) {
  cblas_dgemm(CblasRowMajor, a, b, static_cast<int>(g.m), static_cast<int>(g.n), static_cast<int>(g.k),
              g.alpha, g.a, static_cast<int>(g.lda), g.b, static_cast<int>(g.ldb), beta, g.c,
              static_cast<int>(g.ldc));
}

}  // namespace

template <class T>
bool gemm_cblas(const Gemm<T>& g) {
  const int64_t largest = std::max({g.m, g.n, g.k, g.lda, g.ldb, g.ldc});
  if (g.packed_b || g.m * g.n * g.k < 1'000'000 || largest > std::numeric_limits<int>::max()) return false;
  call(g, prepare_c(g), g.trans_a ? CblasTrans : CblasNoTrans, g.trans_b ? CblasTrans : CblasNoTrans);
  return true;
}

template bool gemm_cblas(const Gemm<float>&);
template bool gemm_cblas(const Gemm<double>&);

}  // namespace gmail::cpu
#endif
