// Protects geglu: eq. (1) and (2), which half is the gate, odd widths, an odd last dimension refused.
#include "catch.h"

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("geglu: gradients", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) { return geglu(tape, v[0]); };
  CHECK_GRAD(f, {random({3, 7, 10}, 1)});
  CHECK_GRAD(f, {random({1, 2}, 1)});
  CHECK_GRAD(f, {random({3, 5, 32}, 1)});
}

TEST_CASE("geglu: the second half is the gate") {
  const Context ctx;
  Tape tape(ctx, false);
  const Var x(Tensor::from(std::vector<double>{3, 5, 1, -2}, {1, 4}));
  CHECK(close(geglu(tape, x).value,
              Tensor::from(std::vector<double>{3 * 0.8413447460685429, 5 * -0.04550026389635842}, {1, 2}),
              1e-12) == "");
  CHECK_THROWS_WITH(geglu(tape, Var(random({2, 3}, 1))),
                    "[geglu] the last dimension of x must be even, got (2,3)");
}
