#include "ops/matmul.h"

#include "core/parallel_for.h"
#include "ops/gemm.h"

namespace gmail {

MatmulSizes matmul_sizes(const Tensor& a, const Tensor& b, bool ta, bool tb) {
  GMAIL_CHECK(a.rank() >= 2 && a.rank() == b.rank(), "[matmul] ranks differ: a ", a.shape(), ", b ",
              b.shape());
  int64_t batch = 1;
  for (int i = 0; i + 2 < a.rank(); ++i) {
    GMAIL_CHECK(a.size(i) == b.size(i), "[matmul] leading dimensions differ: a ", a.shape(), ", b ",
                b.shape());
    batch *= a.size(i);
  }
  const int64_t M = a.size(ta ? -1 : -2), K = a.size(ta ? -2 : -1);
  GMAIL_CHECK(b.size(tb ? -1 : -2) == K, "[matmul] inner dimensions differ: a ", a.shape(), (ta ? "^T" : ""),
              ", b ", b.shape(), (tb ? "^T" : ""));
  return {batch, M, b.size(tb ? -2 : -1), K};
}

namespace cpu {
namespace {

using Sizes = MatmulSizes;

// One product for each batch, all with the sizes of g: many small ones side by side, few large ones cut up
// inside.
template <class T>
void batched(int64_t batch, Gemm<T> g) {
  const int64_t size_a = g.m * g.k, size_b = g.k * g.n, size_c = g.m * g.n;
  g.lda = g.trans_a ? g.m : g.k;
  g.ldb = g.trans_b ? g.k : g.n;
  g.ldc = g.n;
  const auto run = [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      Gemm<T> one = g;
      one.a += i * size_a;
      one.b += i * size_b;
      one.c += i * size_c;
      gemm(one);
    }
  };
  if (batch < 4) return run(0, batch);
  parallel_for(batch, std::max<int64_t>(1, 50'000 / std::max<int64_t>(1, size_a * g.n)), run);
}

template <class T>
T beta(const Grad& g) {
  return g.add ? T(1) : T(0);
}

}  // namespace

void matmul_forward(Tensor& c, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  const Sizes s = matmul_sizes(a, b, transpose_a, transpose_b);
  GMAIL_CHECK(c.numel() == s.batch * s.M * s.N, "[matmul] c ", c.shape(), " for a ", a.shape(), ", b ",
              b.shape());
  with_float_type(a.dtype(), [&](auto zero) {
    using T = decltype(zero);
    batched<T>(s.batch, {.m = s.M,
                         .n = s.N,
                         .k = s.K,
                         .a = a.data<T>(),
                         .trans_a = transpose_a,
                         .b = b.data<T>(),
                         .trans_b = transpose_b,
                         .c = c.data<T>()});
  });
}

void matmul_backward(Grad da, Grad db, const Tensor& dc, const Tensor& a, const Tensor& b, bool transpose_a,
                     bool transpose_b) {
  const Sizes s = matmul_sizes(a, b, transpose_a, transpose_b);
  with_float_type(dc.dtype(), [&](auto zero) {
    using T = decltype(zero);
    const T *pa = a.data<T>(), *pb = b.data<T>(), *pc = dc.data<T>();
    if (da && !transpose_a)
      batched<T>(s.batch, {.m = s.M,
                           .n = s.K,
                           .k = s.N,
                           .a = pc,
                           .b = pb,
                           .trans_b = !transpose_b,
                           .c = da.t.data<T>(),
                           .beta = beta<T>(da)});
    if (da && transpose_a)  // (K, M) = B dc^T
      batched<T>(s.batch, {.m = s.K,
                           .n = s.M,
                           .k = s.N,
                           .a = pb,
                           .trans_a = transpose_b,
                           .b = pc,
                           .trans_b = true,
                           .c = da.t.data<T>(),
                           .beta = beta<T>(da)});
    if (db && !transpose_b)
      batched<T>(s.batch, {.m = s.K,
                           .n = s.N,
                           .k = s.M,
                           .a = pa,
                           .trans_a = !transpose_a,
                           .b = pc,
                           .c = db.t.data<T>(),
                           .beta = beta<T>(db)});
    if (db && transpose_b)  // (N, K) = dc^T A
      batched<T>(s.batch, {.m = s.N,
                           .n = s.K,
                           .k = s.M,
                           .a = pc,
                           .trans_a = true,
                           .b = pa,
                           .trans_b = transpose_a,
                           .c = db.t.data<T>(),
                           .beta = beta<T>(db)});
  });
}

}  // namespace cpu
}  // namespace gmail
