// Protects the choice of an algorithm for matrix products: the fastest that gives the first one's bits, the
// first while a graph is recorded; and what a product can do besides: epilogues, row sums, TF32.
#include "catch.h"

#include "blas.h"
#include "core/cuda_options.h"
#include "emulator.h"
#include "gradcheck.h"
#include "ops/activation.h"

using namespace gmail;
using namespace gmail::test;
using cuda::Epilogue;
using cuda::Product;

namespace {

Tensor device(const Tensor& t, DType type = DType::float32) { return t.to(type).to(Device::cuda); }
Tensor empty(const Shape& shape, DType type = DType::float32) {
  return Tensor::empty(shape, type, Device::cuda);
}
Tensor host(const Tensor& t) { return t.to(Device::cpu).to(DType::float64); }

// C (m, n) = A (m, k) B^T, B (n, k)
struct Case {
  int64_t m, n, k;
  Tensor a, b, c;
  Case(int64_t rows, int64_t columns, int64_t depth, DType type = DType::float32)
      : m(rows),
        n(columns),
        k(depth),
        a(device(random({m, k}, 1), type)),
        b(device(random({n, k}, 2), type)),
        c(empty({m, n}, type)) {}
  [[nodiscard]] Product product() const {
    return {.m = m, .n = n, .k = k, .a = {&a, k}, .b = {&b, k, true}, .c = c, .ldc = n};
  }
  [[nodiscard]] Tensor exact() const {
    const Tensor x = host(a), y = host(b);
    Tensor sum = Tensor::zeros({m, n}, DType::float64);
    for (int64_t i = 0; i < m * n; ++i)
      for (int64_t d = 0; d < k; ++d) sum.data<double>()[i] += x.at(i / n * k + d) * y.at(i % n * k + d);
    return sum;
  }
};

}  // namespace

TEST_CASE("blas: the fastest algorithm with the first one's bits") {
  emulator::set_virtual_clock(true);
  const Case a(5, 7, 6), b(5, 7, 8);
  cuda::product(a.product(), {});
  CHECK(emulator::last_algorithm() == 1);
  CHECK(close(host(a.c), a.exact(), 1e-6) == "");
  cuda::product(a.product(), {});
  CHECK(emulator::last_algorithm() == 1);

  emulator::set_capturing(true);
  cuda::product(b.product(), {});
  CHECK(emulator::last_algorithm() == 0);
  cuda::product(a.product(), {});
  CHECK(emulator::last_algorithm() == 1);
  emulator::set_capturing(false);
  cuda::product(b.product(), {});
  CHECK(emulator::last_algorithm() == 1);
  CHECK(close(host(b.c), b.exact(), 1e-6) == "");
  emulator::set_virtual_clock(false);
}

TEST_CASE("blas: a trial leaves everything alone but the result") {
  const Case a(6, 11, 13);
  const Tensor residual = device(random({6, 11}, 3)), bias = device(random({11}, 4)), before = a.a.clone();
  Product p = a.product();
  p.beta = 1;
  p.c_in = residual;
  p.bias = bias;
  cuda::product(p, {});
  Tensor expected = a.exact();
  for (int64_t i = 0; i < 66; ++i) expected.data<double>()[i] += host(residual).at(i) + host(bias).at(i % 11);
  CHECK(close(host(a.c), expected, 1e-6) == "");
  CHECK(close(host(residual), random({6, 11}, 3).to(DType::float32).to(DType::float64), 0) == "");
  CHECK(close(host(a.a), host(before), 0) == "");
  Product again = a.product();  // C += A B^T, the first use of this shape
  again.beta = 1;
  cuda::product(again, {});
  for (int64_t i = 0; i < 66; ++i) expected.data<double>()[i] += a.exact().at(i);
  CHECK(close(host(a.c), expected, 1e-6) == "");
}

TEST_CASE("blas: GELU, its gradient and row sums come with the product") {
  for (const DType type : {DType::float32, DType::bfloat16}) {
    const double rtol = type == DType::float32 ? 1e-5 : 1e-2;
    const Case a(5, 16, 9, type);
    const Tensor bias = device(random({16}, 3), type), s = empty({5, 16}, type);
    Product p = a.product();
    p.bias = bias;
    p.aux = s;
    p.epilogue = Epilogue::gelu;
    REQUIRE(cuda::try_product(p, {}));
    Tensor sum = a.exact(), y = Tensor::empty({5, 16}, DType::float64);
    for (int64_t i = 0; i < 80; ++i) sum.data<double>()[i] += host(bias).at(i % 16);
    cpu::activation_forward(y, sum, Activation::gelu_tanh);
    CHECK(close(host(s), sum, rtol) == "");
    CHECK(close(host(a.c), y, rtol) == "");

    p = a.product();
    p.aux = s;
    p.epilogue = Epilogue::dgelu;
    REQUIRE(cuda::try_product(p, {}));
    cpu::activation_backward({y, false}, a.exact(), host(s), Activation::gelu_tanh);
    CHECK(close(host(a.c), y, rtol) == "");

    p = a.product();
    p.row_sums = empty({5}, type);
    REQUIRE(cuda::try_product(p, {}));
    Tensor sums = Tensor::zeros({5}, DType::float64);
    for (int64_t i = 0; i < 45; ++i) sums.data<double>()[i / 9] += host(a.a).at(i);
    CHECK(close(host(p.row_sums), sums, rtol) == "");
    CHECK(close(host(a.c), a.exact(), rtol) == "");
  }
  const Case odd(5, 15, 9);
  Product p = odd.product();
  p.aux = empty({5, 15});
  p.epilogue = Epilogue::gelu;
  CHECK(!cuda::try_product(p, {}));
}

TEST_CASE("blas: TF32 only if asked for, and only for float32") {
  for (const DType type : {DType::float32, DType::bfloat16}) {
    const Case a(5, 7, 30, type);
    cuda::product(a.product(), {});
    const Tensor plain = host(a.c);
    cuda_options().tf32 = true;
    cuda::product(a.product(), {});
    cuda_options().tf32 = false;
    CHECK(close(host(a.c), plain, 2e-3) == "");
    CHECK((close(host(a.c), plain, 0) == "") == (type == DType::bfloat16));
    cuda::product(a.product(), {});
    CHECK(close(host(a.c), plain, 0) == "");
  }
}
