// Protects gather_rows: the right row, gradient zero elsewhere, index out of range.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("gather_rows: gradients, also when the rows are taken twice", "[device]") {
  const Tensor index = Tensor::from(std::vector<int32_t>{2, 0, 4}, {3});
  const auto f = [&](Tape& tape, const std::vector<Var>& v) { return gather_rows(tape, v[0], index); };
  CHECK_GRAD(f, {random({3, 5, 7}, 1)});
  CHECK_GRAD(f, {random({3, 5, 8}, 1)});
  const auto twice = [&](Tape& tape, const std::vector<Var>& v) {
    return mul(tape, gather_rows(tape, v[0], index),
               gather_rows(tape, v[0], Tensor::from(std::vector<int32_t>{2, 1, 4}, {3})));
  };
  CHECK_GRAD(twice, {random({3, 5, 7}, 1)});
  const Tensor zero = Tensor::from(std::vector<int32_t>{0}, {1});
  CHECK_GRAD([&](Tape& tape, const std::vector<Var>& v) { return gather_rows(tape, v[0], zero); },
             {random({1, 1, 1}, 1)});
}

TEST_CASE("gather_rows: the chosen row, and an index out of range") {
  const Context ctx;
  Tape tape(ctx, false);
  const Tensor x = random({2, 3, 2}, 1);
  const Tensor y = gather_rows(tape, Var(x), Tensor::from(std::vector<int32_t>{2, 1}, {2})).value;
  CHECK(y.at(0) == x.at(4));
  CHECK(y.at(3) == x.at(9));
  CHECK_THROWS_WITH(gather_rows(tape, Var(x), Tensor::from(std::vector<int32_t>{0, -1}, {2})),
                    "[gather_rows] index 1 is -1, expected 0 .. 2");
}
