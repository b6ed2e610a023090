// The matrix product on the CPU, for float and double, row-major with leading dimensions:
//   (1)  C (m, n) = alpha op(A) op(B) + beta C_in + bias      op(A) (m, k), op(B) (k, n), bias (n)
// C_in is C itself unless c_in is given. With beta = 0 it is not read, so it may hold NaN. A and B must not
// overlap C.
//
// Method (Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication"; BLIS, van Zee & van
// de Geijn 2015): B is copied into panels as wide as a register tile, a strip of A stays in the first-level
// cache while the panels stream past it from the second, and a tile of C is held in registers. k is never
// split between threads and every element of C adds its products in the same order wherever it lies in a
// tile: equal bits for every number of threads. Products with at most eight rows or columns (decoding,
// low-rank adapters) read their operands where they are.
#pragma once

#include <cstdint>
#include <string>

#include "core/tensor.h"

namespace gmail::cpu {

constexpr int64_t kGemmSmall = 8;  // rows or columns up to which the operands are read in place

template <class T>
struct Gemm {
  int64_t m = 0, n = 0, k = 0;
  const T* a = nullptr;
  int64_t lda = 0;
  bool trans_a = false;  // a is (k, m)
  const T* b = nullptr;
  int64_t ldb = 0;
  bool trans_b = false;  // b is (n, k)
  T* c = nullptr;
  int64_t ldc = 0;
  T alpha = 1, beta = 0;
  const T* c_in = nullptr;  // null: c
  int64_t ld_in = 0;
  const T* bias = nullptr;
  const T* packed_b = nullptr;  // op(B) as pack_b left it; b must be given as well
};

template <class T>
void gemm(const Gemm<T>& g);

// op(B) (k, n) in the order in which gemm reads it, for a matrix that is used many times.
template <class T>
[[nodiscard]] int64_t packed_size(int64_t k, int64_t n);
template <class T>
void pack_b(T* packed, const T* b, int64_t ldb, bool trans_b, int64_t k, int64_t n);

}  // namespace gmail::cpu

namespace gmail {

// "own avx512", "own avx2", "own portable" or "cblas": who computes the products of this process.
[[nodiscard]] std::string gemm_backend();

}  // namespace gmail
