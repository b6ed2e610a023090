// Protects embedding: look-up, gradient with repeated ids, rows nobody asked for, accumulation, ids out of
// range.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"
#include "ops/embedding.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("embedding: gradients with repeated ids", "[device]") {
  const Tensor ids = Tensor::from(std::vector<int32_t>{4, 0, 4, 2, 4, 0}, {2, 3});
  const auto f = [&](Tape& tape, const std::vector<Var>& v) { return embedding(tape, v[0], ids); };
  CHECK_GRAD(f, {random({5, 7}, 1)});
  CHECK_GRAD(f, {random({9, 1}, 1)});
}

TEST_CASE("embedding: runs of one id within, across and over whole stretches of the sorted positions") {
  std::vector<int32_t> list(150);
  for (size_t i = 0; i < list.size(); ++i)
    list[i] = i % 3 == 0 ? 7 : static_cast<int32_t>(i * i % 11 + i / 100);
  for (size_t i = 40; i < 120; ++i) list[i] = 5;  // 80 and more in a row
  const Tensor ids = Tensor::from(list, {3, 50});
  const auto f = [&](Tape& tape, const std::vector<Var>& v) { return embedding(tape, v[0], ids); };
  CHECK_GRAD(f, {random({13, 8}, 1)});
  CHECK_GRAD(f, {random({13, 3}, 1)});
}

TEST_CASE("embedding: rows are copied, unused rows get zero, or keep what is added to") {
  const Context ctx;
  Tape tape(ctx);
  const Tensor ids = Tensor::from(std::vector<int32_t>{2, 2}, {2});
  const Var table = tape.input(random({3, 4}, 1));
  const Var y = embedding(tape, table, ids);
  CHECK(y.shape() == Shape{2, 4});
  for (int64_t i = 0; i < 8; ++i) CHECK(y.value.at(i) == table.value.at(8 + i % 4));
  tape.backward(y, Tensor::full({2, 4}, 1.5, DType::float64));
  for (int64_t i = 0; i < 12; ++i) CHECK(tape.grad(table).at(i) == (i < 8 ? 0 : 3));
  Tensor sum = Tensor::full({3, 4}, 10, DType::float64);
  cpu::embedding_backward({sum, true}, Tensor::full({2, 4}, 1.5, DType::float64), ids);
  for (int64_t i = 0; i < 12; ++i) CHECK(sum.at(i) == (i < 8 ? 10 : 13));
}

TEST_CASE("embedding: an id out of range is refused with its place") {
  const Context ctx;
  Tape tape(ctx, false);
  const Tensor ids = Tensor::from(std::vector<int32_t>{0, 3}, {2});
  CHECK_THROWS_WITH(embedding(tape, Var(random({3, 4}, 1)), ids), "[embedding] id 1 is 3, expected 0 .. 2");
}
