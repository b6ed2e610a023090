// Protects linear: y = alpha x w^T + b + residual and its gradients, each optional input absent, odd sizes,
// skinny adapters, accumulation, frozen weights (no gradient, kept copy), equal bits for every number of
// threads.
#include "catch.h"

#include "autograd/functions.h"
#include "core/device_memory.h"
#include "gradcheck.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("linear: gradients", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) {
    return linear(tape, v[0], v[1], v[2], v[3], 0.7);
  };
  CHECK_GRAD(f, {random({3, 5, 7}, 1), random({11, 7}, 2), random({11}, 3), random({3, 5, 11}, 4)});
  CHECK_GRAD(f, {random({13, 9}, 1), random({17, 9}, 2), Tensor(), random({13, 17}, 4)});
  CHECK_GRAD(f, {random({10, 12}, 1), random({4, 12}, 2), random({4}, 3), Tensor()});
  CHECK_GRAD(f, {random({14, 4}, 1), random({10, 4}, 2), Tensor(), Tensor()});
  CHECK_GRAD(f, {random({1, 1}, 1), random({1, 1}, 2), random({1}, 3), random({1, 1}, 4)});
  CHECK_GRAD(f, {random({6}, 1), random({9, 6}, 2), random({9}, 3), Tensor()});
}

TEST_CASE("linear: the input may be its own residual, and a result may be used twice", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) {
    const Var y = linear(tape, v[0], v[1], v[2], v[0]);
    return linear(tape, y, v[1], v[2], y);
  };
  CHECK_GRAD(f, {random({4, 9}, 1), random({9, 9}, 2), random({9}, 3)});
}

TEST_CASE("linear: a frozen weight gets no gradient and its kept copy changes nothing") {
  const Context ctx;
  for (const int64_t rows : {2, 40, 1500})
    for (const int64_t offset : {0, 64}) {  // a weight that is a part of a larger block
      const Tensor block = random({64 + 70, 33}, 2, DType::float32),
                   x = random({rows, 33}, 1, DType::float32);
      Tensor frozen = block.clone();
      frozen.storage().constant = true;
      std::vector<Tensor> y, dx;
      for (const Tensor& all : {block, frozen, frozen}) {
        Tape tape(ctx);
        const Var vx = tape.input(x),
                  out = linear(tape, vx, tape.constant(all.rows(offset, offset + 70)), Var());
        tape.backward(out, random(out.shape(), 3, DType::float32));
        y.push_back(out.value);
        dx.push_back(tape.grad(vx));
      }
      for (size_t i : {1U, 2U}) {
        CHECK(close(y[i], y[0], 0) == "");
        CHECK(close(dx[i], dx[0], 0) == "");
      }
    }
}

TEST_CASE("linear: a frozen layer does not hold its input") {
  const Context ctx;
  Tape tape(ctx);
  const Var x = tape.input(random({5, 3}, 1));
  const Tensor w = random({4, 3}, 2);
  std::weak_ptr<Arena> arena = ctx.arena;
  const int64_t before = ctx.arena->live();
  Var y;
  {
    const Var hidden = linear(tape, x, tape.constant(random({3, 3}, 3)), Var());
    y = linear(tape, hidden, tape.constant(w), Var());
  }
  CHECK(ctx.arena->live() == before + 1);  // y alone
}

TEST_CASE("linear: the same bits for 1 and 2 threads") {
  std::vector<Tensor> results;
  for (const int threads : {1, 2}) {
    const Threads scope(threads);
    const Context ctx;
    Tape tape(ctx);
    const Var x = tape.input(random({301, 70}, 1, DType::float32)),
              w = tape.input(random({90, 70}, 2, DType::float32));
    const Var b = tape.input(random({90}, 3, DType::float32));
    const Var y = linear(tape, x, w, b);
    tape.backward(y, random({301, 90}, 4, DType::float32));
    for (const Tensor& t : {y.value, tape.grad(x), tape.grad(w), tape.grad(b)}) results.push_back(t.clone());
  }
  for (size_t i = 0; i < 4; ++i) CHECK(close(results[i], results[i + 4], 0) == "");
}

TEST_CASE("linear: shapes that do not fit are refused with both shapes") {
  const Context ctx;
  Tape tape(ctx, false);
  CHECK_THROWS_WITH(linear(tape, Var(random({4, 3}, 1)), Var(random({5, 2}, 2)), Var()),
                    "[linear] inner dimensions differ: x (4,3), weight (5,2)");
}

TEST_CASE("linear: a float32 weight is converted once, a frozen one once for all steps", "[device]") {
  if (!why_no_cuda().empty()) return;
  const Context ctx{Device::cuda, {}, DType::bfloat16, std::make_shared<Arena>(Device::cuda)};
  const Tensor first = random({6, 10}, 2, DType::float32), second = random({6, 10}, 3, DType::float32),
               x = random({5, 10}, 1, DType::bfloat16), dy = random({5, 6}, 4, DType::bfloat16);
  struct Step {
    Tensor y, dx;
  };
  // the weight changes between the two passes
  const auto step = [&](const Tensor& w, bool trained, const Tensor& then) {
    Tape tape(ctx);
    const Var vx = tape.input(ctx.here(x)), y = linear(tape, vx, trained ? tape.input(w) : Var(w), Var());
    Tensor handle = w;
    handle.copy_from(then);
    tape.backward(y, ctx.here(dy));
    return Step{y.value.to(Device::cpu).clone(), tape.grad(vx).to(Device::cpu).clone()};
  };
  const Tensor w = ctx.here(first);
  const Step a = step(w, true, second), b = step(w, true, first), c = step(w, true, first);
  CHECK(close(a.y, c.y, 0) == "");
  CHECK(close(a.dx, c.dx, 0) == "");   // of the weight that the forward pass saw
  CHECK(close(b.y, a.y, 1e-2) != "");  // the next step sees the new one
  CHECK(close(b.dx, a.dx, 1e-2) != "");
  w.storage().constant = true;  // and whoever changes it now breaks his word: the copy stays
  for (const Tensor& then : {second, first}) {
    const Step frozen = step(w, false, then);
    CHECK(close(frozen.y, a.y, 0) == "");
    CHECK(close(frozen.dx, a.dx, 0) == "");
  }
  Tensor block = ctx.here(random({9, 10}, 5, DType::float32));  // a weight that is a part of a larger block
  block.storage().constant = true;
  for (const int64_t at : {0, 3, 0}) {
    const Tensor part = block.rows(at, at + 6);
    const Step kept = step(part, false, part.clone()), plain = step(part.clone(), true, part.clone());
    CHECK(close(kept.y, plain.y, 0) == "");
    CHECK(close(kept.dx, plain.dx, 0) == "");
  }
}
