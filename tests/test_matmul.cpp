// Protects matmul: the four transpositions, batches, size 1, and refusal of shapes that do not fit.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("matmul: gradients of every transposition", "[device]") {
  for (const bool ta : {false, true})
    for (const bool tb : {false, true}) {
      const auto f = [=](Tape& tape, const std::vector<Var>& v) { return matmul(tape, v[0], v[1], ta, tb); };
      const auto a = [&](int64_t m, int64_t k) { return ta ? Shape{2, 3, k, m} : Shape{2, 3, m, k}; };
      const auto b = [&](int64_t k, int64_t n) { return tb ? Shape{2, 3, n, k} : Shape{2, 3, k, n}; };
      CHECK_GRAD(f, {random(a(3, 5), 1), random(b(5, 2), 2)});
      CHECK_GRAD(f, {random(a(1, 1), 1), random(b(1, 1), 2)});
      CHECK_GRAD(
          f, {random(ta ? Shape{11, 13} : Shape{13, 11}, 1), random(tb ? Shape{10, 11} : Shape{11, 10}, 2)});
    }
}

TEST_CASE("matmul: a product of a tensor with itself", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) { return matmul(tape, v[0], v[0], false, true); };
  CHECK_GRAD(f, {random({2, 5, 3}, 1)});
}

TEST_CASE("matmul: by hand") {
  const Context ctx;
  Tape tape(ctx, false);
  const Tensor a = Tensor::from(std::vector<double>{1, 2, 3, 4, 5, 6}, {2, 3});
  const Tensor b = Tensor::from(std::vector<double>{1, 0, 2, 0, 1, 3}, {2, 3});
  const Tensor want = Tensor::from(std::vector<double>{7, 11, 16, 23}, {2, 2});
  CHECK(close(matmul(tape, Var(a), Var(b), false, true).value, want, 0) == "");
}

TEST_CASE("matmul: shapes that do not fit are refused with both shapes") {
  const Context ctx;
  Tape tape(ctx, false);
  CHECK_THROWS_WITH(matmul(tape, Var(random({8, 64}, 1)), Var(random({128, 32}, 2))),
                    "[matmul] inner dimensions differ: a (8,64), b (128,32)");
}
