// The inner kernels of the matrix product, one table for each instruction set: gemm_avx512.cpp, gemm_avx2.cpp
// and gemm_portable.cpp instantiate gemm_kernels.inc with their vector width, gemm.cpp picks a table at run
// time. No standard header with code in it may be included here: the linker must never merge a function that
// was compiled for AVX-512 into a program that runs without it.
#pragma once

#include <cstdint>

namespace gmail::cpu {

constexpr int kMaxTileRows = 12;  // of any instruction set
constexpr int kTileAhead = 8;
constexpr int kSmallSide =
    8;  // products with so few rows (or columns) take the kernels `dot` and `tile` unpacked

// Consecutive k of a product with A by columns: element (i, k) at a[k * a_step + i], row b_row + k of B.
template <class T>
struct GemmRun {
  const T* a;
  int64_t b_row, length;
};

// C (m, n) = alpha * A B + beta * C_in + bias. B is a panel of rows ldb apart. A comes as rows (a pointer for
// each tap and row, kc consecutive elements from a_offset) or as columns (runs, each moved by a_offset).
template <class T>
struct GemmTile {
  const T* const* rows = nullptr;
  int64_t taps = 1, kc = 0;
  const GemmRun<T>* runs = nullptr;
  int64_t run_count = 1, a_step = 0;
  int64_t a_offset = 0;
  const T* b = nullptr;
  int64_t ldb = 0;
  T alpha = 1, beta = 0;
  const T* c_in = nullptr;  // null: beta is 0
  int64_t ld_in = 0;
  T* c = nullptr;
  int64_t ldc = 0;
  const T* bias = nullptr;
  int64_t n = 0;
  // What will be needed next, brought closer while this tile is computed; null: nothing.
  const T* const* next_rows = nullptr;  // A: as `rows`, of the next strip
  const T* next_b = nullptr;            // B: kTileAhead cache lines for every 16 k
};

template <class T>
struct GemmKernels {
  using Tile = void (*)(const GemmTile<T>&);
  using Dot = void (*)(T* out, const T* a, int64_t lda, const T* b, int64_t ldb, int64_t n, int64_t k);
  const char* name;
  int mr;     // rows of a tile
  int nr;     // columns of a tile; a tile of at most nr / 2 columns has its own kernel
  int dot_n;  // columns of out in `dot`
  // [m - 1]: tiles of m rows
  Tile rows_full[kMaxTileRows], rows_half[kMaxTileRows];
  Tile cols_full[kMaxTileRows], cols_half[kMaxTileRows];
  // [m - 1]: out[i * dot_n + j] = sum_k a[i * lda + k] b[j * ldb + k] for m rows of a and n <= dot_n rows of
  // b
  Dot dot[kSmallSide];
  // dst[k * width + j] = src[j * ld + k] for j < n, 0 for n <= j < width; width is nr or nr / 2
  void (*pack_transposed)(T* dst, int64_t width, const T* src, int64_t ld, int64_t n, int64_t kc);
  // dst[k * width + j] = src[k * ld + j] for j < n, 0 for n <= j < width
  void (*pack)(T* dst, int64_t width, const T* src, int64_t ld, int64_t n, int64_t kc);
  // a chain of fused multiply-adds in every accumulator register: returns the floating-point operations of
  // `rounds`
  double (*fma_peak)(int64_t rounds);
};

[[nodiscard]] const GemmKernels<float>&
gemm_kernels_avx512();  // double is the reference: it makes do with AVX2
template <class T>
[[nodiscard]] const GemmKernels<T>& gemm_kernels_avx2();
template <class T>
[[nodiscard]] const GemmKernels<T>& gemm_kernels_portable();

}  // namespace gmail::cpu
