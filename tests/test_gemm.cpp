// Protects the matrix product: every transposition, tails of every tile, leading dimensions, alpha, beta,
// bias and C_in against a triple loop; the same bits for every number of threads; each instruction set that
// this processor runs.
#include "catch.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gradcheck.h"
#include "ops/gemm.h"
#include "ops/gemm_select.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {

template <class T>
std::vector<T> numbers(int64_t n, uint64_t salt) {
  const Tensor t = random({n}, salt, dtype_of<T>::value);
  return {t.data<T>(), t.data<T>() + n};
}

struct Case {
  int64_t m, n, k;
  bool ta, tb;
  double alpha = 1, beta = 0;
  bool bias = false, c_in = false;
};

// The worst |C - C_naive| / (k + 1), or infinity if anything outside of C was touched.
template <class T>
double error(const Case& c) {
  const int64_t lda = (c.ta ? c.m : c.k) + 3, ldb = (c.tb ? c.k : c.n) + 2, ldc = c.n + 5, ld_in = c.n + 1;
  const auto a = numbers<T>((c.ta ? c.k : c.m) * lda, 1), b = numbers<T>((c.tb ? c.n : c.k) * ldb, 2);
  const auto before = numbers<T>(c.m * ldc, 3), in = numbers<T>(c.m * ld_in, 4), bias = numbers<T>(c.n, 5);
  auto out = before;
  cpu::gemm<T>({.m = c.m,
                .n = c.n,
                .k = c.k,
                .a = a.data(),
                .lda = lda,
                .trans_a = c.ta,
                .b = b.data(),
                .ldb = ldb,
                .trans_b = c.tb,
                .c = out.data(),
                .ldc = ldc,
                .alpha = static_cast<T>(c.alpha),
                .beta = static_cast<T>(c.beta),
                .c_in = c.c_in ? in.data() : nullptr,
                .ld_in = ld_in,
                .bias = c.bias ? bias.data() : nullptr});
  double worst = 0;
  for (int64_t i = 0; i < c.m; ++i)
    for (int64_t j = 0; j < ldc; ++j) {
      const auto at = static_cast<size_t>(i * ldc + j);
      if (j >= c.n) {
        if (out[at] != before[at]) return std::numeric_limits<double>::infinity();
        continue;
      }
      double sum = 0;
      for (int64_t k = 0; k < c.k; ++k)
        sum += static_cast<double>(a[static_cast<size_t>(c.ta ? k * lda + i : i * lda + k)]) *
               static_cast<double>(b[static_cast<size_t>(c.tb ? j * ldb + k : k * ldb + j)]);
      const T old = c.c_in ? in[static_cast<size_t>(i * ld_in + j)] : before[at];
      const double want = c.alpha * sum + c.beta * static_cast<double>(old) +
                          (c.bias ? static_cast<double>(bias[static_cast<size_t>(j)]) : 0);
      const double difference = std::abs(want - static_cast<double>(out[at])) / static_cast<double>(c.k + 1);
      if (!(difference <= worst)) worst = difference;
    }
  return worst;
}

void check(const Case& c) {
  INFO("m " << c.m << " n " << c.n << " k " << c.k << " ta " << c.ta << " tb " << c.tb << " alpha " << c.alpha
            << " beta " << c.beta << " bias " << c.bias << " c_in " << c.c_in);
  CHECK(error<double>(c) < 1e-15);
  CHECK(error<float>(c) < 1e-6);
}

}  // namespace

TEST_CASE("gemm: every tail of every tile") {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      for (const int64_t m : {1, 2, 3, 5, 7, 8, 9, 11, 12, 13, 14, 23, 25, 41})
        for (const int64_t n : {1, 3, 4, 8, 9, 15, 16, 17, 31, 33, 48, 65}) check({m, n, 7, ta, tb});
      for (const int64_t k : {0, 1, 2, 15, 16, 17, 63, 160, 161, 319, 321, 650, 1300}) {
        check({13, 35, k, ta, tb});
        check({3, 35, k, ta, tb});
        check({35, 3, k, ta, tb});
      }
    }
}

TEST_CASE("gemm: alpha, beta, bias and another C") {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true})
      for (const auto& [m, n, k] :
           {std::array<int64_t, 3>{29, 50, 700}, {1, 70, 33}, {70, 4, 33}, {40, 20, 0}})
        for (const double beta : {0.0, 1.0, -0.5})
          for (const bool bias : {false, true})
            for (const bool c_in : {false, true}) check({m, n, k, ta, tb, 0.75, beta, bias, c_in});
}

TEST_CASE("gemm: blocks larger than the packed buffers") {
  check({150, 1100, 400, false, true});
  check({300, 96, 1000, true, false, 1, 1});
  check({20, 3000, 1500, false, false});
}

TEST_CASE("gemm: beta 0 does not read C") {
  for (const auto& [m, n, k] : {std::array<int64_t, 3>{40, 50, 20}, {2, 50, 20}, {50, 2, 20}, {13, 13, 0}}) {
    std::vector<float> c(static_cast<size_t>(m * n), std::numeric_limits<float>::quiet_NaN());
    const auto a = numbers<float>(m * k + 1, 1), b = numbers<float>(k * n + 1, 2);
    cpu::gemm<float>(
        {.m = m, .n = n, .k = k, .a = a.data(), .lda = k, .b = b.data(), .ldb = n, .c = c.data(), .ldc = n});
    for (const float v : c) REQUIRE(std::isfinite(v));
  }
}

TEST_CASE("gemm: rows half a page apart") {  // they are copied first
  const int64_t m = 37, n = 150, k = 512;
  const auto a = numbers<float>(m * k, 1), b = numbers<float>(n * k, 2);
  std::vector<float> c(static_cast<size_t>(m * n));
  cpu::gemm<float>({.m = m,
                    .n = n,
                    .k = k,
                    .a = a.data(),
                    .lda = k,
                    .b = b.data(),
                    .ldb = k,
                    .trans_b = true,
                    .c = c.data(),
                    .ldc = n});
  for (int64_t i = 0; i < m; ++i)
    for (int64_t j = 0; j < n; ++j) {
      double sum = 0;
      for (int64_t q = 0; q < k; ++q)
        sum += static_cast<double>(a[static_cast<size_t>(i * k + q)]) *
               static_cast<double>(b[static_cast<size_t>(j * k + q)]);
      REQUIRE(std::abs(sum - static_cast<double>(c[static_cast<size_t>(i * n + j)])) < 1e-3);
    }
}

TEST_CASE("gemm: the same bits for 1, 2 and 3 threads and for a packed B") {
  for (const auto& [m, n, k] :
       {std::array<int64_t, 3>{200, 200, 700}, {5, 3000, 300}, {3000, 4, 300}, {17, 900, 400}})
    for (const bool ta : {false, true}) {
      const auto a = numbers<float>(m * k, 1), b = numbers<float>(n * k, 2);
      std::vector<float> packed(static_cast<size_t>(cpu::packed_size<float>(k, n)));
      cpu::pack_b<float>(packed.data(), b.data(), k, true, k, n);
      std::vector<std::vector<float>> results;
      for (const int threads : {1, 2, 3}) {
        const Threads scope(threads);
        for (const bool use_packed : {false, true}) {
          std::vector<float> c(static_cast<size_t>(m * n));
          cpu::gemm<float>({.m = m,
                            .n = n,
                            .k = k,
                            .a = a.data(),
                            .lda = ta ? m : k,
                            .trans_a = ta,
                            .b = b.data(),
                            .ldb = k,
                            .trans_b = true,
                            .c = c.data(),
                            .ldc = n,
                            .packed_b = use_packed ? packed.data() : nullptr});
          results.push_back(std::move(c));
        }
      }
      // a CBLAS multiplies only what is not packed, with roundings of its own
      const size_t kinds = gemm_backend() == "cblas" ? 2 : 1;
      for (size_t i = 0; i < results.size(); ++i) CHECK(results[i] == results[i % kinds]);
    }
}

TEST_CASE("gemm: the kernels of every instruction set that runs here") {
  for (const auto isa : {cpu::Isa::portable, cpu::Isa::avx2, cpu::Isa::avx512}) {
    if (!cpu::isa_runs(isa)) continue;
    const auto& kernels = cpu::gemm_kernels<float>(isa);
    const int64_t k = 19;
    for (int64_t m = 1; m <= kernels.mr; ++m)
      for (const bool half : {false, true}) {
        const int64_t nr = half ? kernels.nr / 2 : kernels.nr, n = nr - (m % 2);
        const auto a = numbers<float>(m * k, 1), b = numbers<float>(nr * k, 2);
        std::vector<float> by_rows(static_cast<size_t>(m * n)), by_cols = by_rows,
                                                                columns(static_cast<size_t>(m * k));
        std::vector<const float*> rows;
        for (int64_t i = 0; i < m; ++i) rows.push_back(a.data() + i * k);
        for (int64_t i = 0; i < m; ++i)
          for (int64_t q = 0; q < k; ++q)
            columns[static_cast<size_t>(q * m + i)] = a[static_cast<size_t>(i * k + q)];
        cpu::GemmTile<float> tile;
        tile.rows = rows.data();
        const cpu::GemmRun<float> runs[] = {{columns.data(), 0, 5}, {columns.data() + 5 * m, 5, k - 5}};
        tile.runs = runs;
        tile.run_count = 2;
        tile.a_step = m;
        tile.kc = k;
        tile.b = b.data();
        tile.ldb = nr;
        tile.ldc = tile.n = n;
        tile.c = by_rows.data();
        (half ? kernels.rows_half : kernels.rows_full)[m - 1](tile);
        tile.c = by_cols.data();
        (half ? kernels.cols_half : kernels.cols_full)[m - 1](tile);
        CHECK(by_rows == by_cols);
        for (int64_t i = 0; i < m; ++i)
          for (int64_t j = 0; j < n; ++j) {
            double sum = 0;
            for (int64_t q = 0; q < k; ++q)
              sum += static_cast<double>(a[static_cast<size_t>(i * k + q)]) *
                     static_cast<double>(b[static_cast<size_t>(q * nr + j)]);
            REQUIRE(std::abs(sum - static_cast<double>(by_rows[static_cast<size_t>(i * n + j)])) < 1e-4);
          }
      }
  }
}
