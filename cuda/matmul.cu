#include "ops/matmul.h"

#include "blas.h"

namespace gmail::cuda {
namespace {

// One product for each of a batch of whole matrices.
void batched(int64_t batch, int64_t m, int64_t n, int64_t k, const Tensor& a, bool trans_a, const Tensor& b,
             bool trans_b, const Grad& c, Stream stream) {
  if (batch * m * n == 0) return;
  product({.m = m,
           .n = n,
           .k = k,
           .batch = batch,
           .a = {&a, trans_a ? m : k, trans_a, m * k},
           .b = {&b, trans_b ? k : n, trans_b, k * n},
           .c = c.t,
           .ldc = n,
           .stride_c = m * n,
           .beta = c.add ? 1.0F : 0.0F},
          stream);
}

}  // namespace

void matmul_forward(Tensor& c, const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b,
                    Stream stream) {
  const auto [batch, M, N, K] = matmul_sizes(a, b, transpose_a, transpose_b);
  GMAIL_CHECK(c.numel() == batch * M * N, "[matmul] c ", c.shape(), " for a ", a.shape(), ", b ", b.shape());
  batched(batch, M, N, K, a, transpose_a, b, transpose_b, {c, false}, stream);
}

// eq. (2); a transposed factor gets the transposed product
void matmul_backward(Grad da, Grad db, const Tensor& dc, const Tensor& a, const Tensor& b, bool transpose_a,
                     bool transpose_b, Stream stream) {
  const auto [batch, M, N, K] = matmul_sizes(a, b, transpose_a, transpose_b);
  if (da && !transpose_a) batched(batch, M, K, N, dc, false, b, !transpose_b, da, stream);
  if (da && transpose_a) batched(batch, K, M, N, b, transpose_b, dc, true, da, stream);
  if (db && !transpose_b) batched(batch, K, N, M, a, !transpose_a, dc, false, db, stream);
  if (db && transpose_b) batched(batch, N, K, M, dc, true, a, transpose_a, db, stream);
}

}  // namespace gmail::cuda
