// Protects the contrastive losses: values by hand, masked duplicates = the literal formula on the reduced
// set, gradients of every input, the same Var on both sides, NaN.
#include "catch.h"

#include <cmath>

#include "autograd/functions.h"
#include "gradcheck.h"

using namespace gmail;
using namespace gmail::test;

namespace {
Tensor group_of(const std::vector<int32_t>& v) { return Tensor::from(v, {static_cast<int64_t>(v.size())}); }
Tensor one(double v, DType dtype = DType::float64) { return Tensor::full({1}, v, dtype); }

Function nce(const InfoNceOptions& options) {
  return [=](Tape& tape, const std::vector<Var>& v) { return info_nce(tape, v[0], v[1], v[2], options); };
}
double nce_value(const Tensor& a, const Tensor& b, double log_scale, const InfoNceOptions& options = {}) {
  const Context ctx;
  Tape tape(ctx, false);
  return info_nce(tape, Var(a), Var(b), Var(one(log_scale, a.dtype())), options).value.item();
}

// eq. (1) as it is written
double literal(const Tensor& a, const Tensor& b, double t, const std::vector<int32_t>& group) {
  const int64_t N = a.size(0), E = a.size(1);
  const auto z = [&](int64_t i, int64_t j) {
    double dot = 0;
    for (int64_t e = 0; e < E; ++e) dot += a.at(i * E + e) * b.at(j * E + e);
    return t * dot;
  };
  double loss = 0;
  for (int64_t i = 0; i < N; ++i) {
    double sum = 0;
    for (int64_t j = 0; j < N; ++j)
      if (i == j || group[static_cast<size_t>(i)] != group[static_cast<size_t>(j)]) sum += std::exp(z(i, j));
    loss -= std::log(std::exp(z(i, i)) / sum);
  }
  return loss / static_cast<double>(N);
}
}  // namespace

TEST_CASE("info_nce: gradients, one direction and both, with and without groups", "[device]") {
  for (const bool symmetric : {false, true})
    for (const Tensor& group : {Tensor(), group_of({4, 1, 4, 2, 4})}) {
      CAPTURE(symmetric, group.defined());
      CHECK_GRAD(nce({symmetric, group}), {random({5, 7}, 1), random({5, 7}, 2), one(0.7)});
    }
  CHECK_GRAD(nce({true, Tensor()}), {random({1, 3}, 1), random({1, 3}, 2), one(0.7)});
  CHECK_GRAD(nce({true, Tensor()}), {random({36, 8}, 1), random({36, 8}, 2), one(0.7)});
  const auto same = [](Tape& tape, const std::vector<Var>& v) {
    return info_nce(tape, v[0], v[0], Var(one(0.3, v[0].dtype())), {});
  };
  CHECK_GRAD(same, {random({4, 3}, 1)});
}

TEST_CASE("info_nce: two pairs by hand") {
  // a = b = unit vectors, t = 2: z = [[2, 0], [0, 2]], so L = log(1 + exp(-2)) in both directions
  const Tensor a = Tensor::from(std::vector<double>{1, 0, 0, 1}, {2, 2});
  CHECK(nce_value(a, a, std::log(2.0)) == Approx(std::log(1 + std::exp(-2.0))).epsilon(1e-12));
  CHECK(nce_value(a, a, std::log(2.0), {true, Tensor()}) ==
        Approx(std::log(1 + std::exp(-2.0))).epsilon(1e-12));
  // b = (1,0), (1,0): z = [[1, 1], [0, 0]]: rows log 2, log 2; columns log(1 + exp(-1)), log(1 + e)
  const Tensor b = Tensor::from(std::vector<double>{1, 0, 1, 0}, {2, 2});
  CHECK(nce_value(a, b, 0) == Approx(std::log(2.0)).epsilon(1e-12));
  const double columns = 0.5 * (std::log(1 + std::exp(-1.0)) + std::log(1 + std::exp(1.0)));
  CHECK(nce_value(a, b, 0, {true, Tensor()}) == Approx(0.5 * (std::log(2.0) + columns)).epsilon(1e-12));
}

TEST_CASE("info_nce: equal rows give log N") {
  CHECK(nce_value(Tensor::full({37, 4}, 0.5), Tensor::full({37, 4}, 0.5), 3) ==
        Approx(std::log(37.0)).epsilon(1e-5));
}

TEST_CASE("info_nce: duplicates are masked as the formula says, in both directions") {
  const std::vector<int32_t> group = {4, 1, 4, 2, 4};
  const Tensor a = random({5, 7}, 1), b = random({5, 7}, 2);
  const double t = std::exp(0.7), forth = literal(a, b, t, group), back = literal(b, a, t, group);
  CHECK(nce_value(a, b, 0.7, {false, group_of(group)}) == Approx(forth).epsilon(1e-12));
  CHECK(nce_value(a, b, 0.7, {true, group_of(group)}) == Approx(0.5 * (forth + back)).epsilon(1e-12));
  CHECK(nce_value(a, b, 0.7, {false, group_of({0, 1, 2, 3, 4})}) ==
        Approx(nce_value(a, b, 0.7)).epsilon(1e-12));
  CHECK(nce_value(a, b, 0.7, {true, group_of({3, 3, 3, 3, 3})}) == Approx(0).margin(1e-12));
}

TEST_CASE("info_nce: float stands logits near 100, NaN is not swallowed, wrong sizes are refused") {
  const Tensor a = Tensor::from(std::vector<float>{1, 0, -1, 0}, {2, 2});
  CHECK(nce_value(a, a, std::log(100.0), {true, Tensor()}) == Approx(0).margin(1e-6));
  CHECK(nce_value(a, Tensor::from(std::vector<float>{-1, 0, 1, 0}, {2, 2}), std::log(100.0)) == Approx(200));
  CHECK(std::isnan(nce_value(a, Tensor::full({2, 2}, std::nan("")), 0, {true, Tensor()})));
  CHECK_THROWS_WITH(nce_value(a, random({3, 2}, 1, DType::float32), 0),
                    "[info_nce] a and b must be (N, E), got (2,2) and (3,2)");
  CHECK_THROWS_WITH(nce_value(a, a, 0, {false, group_of({1})}), "[info_nce] group must be (2), got (1)");
}

TEST_CASE("sigmoid_loss: gradients", "[device]") {
  const auto f = [](Tape& tape, const std::vector<Var>& v) {
    return sigmoid_loss(tape, v[0], v[1], v[2], v[3]);
  };
  CHECK_GRAD(f, {random({5, 7}, 1), random({5, 7}, 2), one(0.7), one(-1)});
  CHECK_GRAD(f, {random({1, 3}, 1), random({1, 3}, 2), one(0.7), one(2)});
  const auto same = [](Tape& tape, const std::vector<Var>& v) {
    return sigmoid_loss(tape, v[0], v[0], v[1], v[1]);
  };
  CHECK_GRAD(same, {random({4, 3}, 1), one(0.3)});
}

TEST_CASE("sigmoid_loss: N log 2 at zero logits; two pairs by hand; NaN") {
  const Context ctx;
  Tape tape(ctx, false);
  const Var zero(Tensor::zeros({6, 4}, DType::float64)), none(one(0));
  CHECK(sigmoid_loss(tape, zero, zero, none, none).value.item() == Approx(6 * std::log(2.0)).epsilon(1e-12));
  const Var a(Tensor::from(std::vector<double>{1, 0, 0, 1},
                           {2, 2}));  // z = [[2, 0], [0, 2]] - 1 = [[1, -1], [-1, 1]]
  CHECK(sigmoid_loss(tape, a, a, Var(one(std::log(2.0))), Var(one(-1))).value.item() ==
        Approx(2 * std::log(1 + std::exp(-1.0))).epsilon(1e-12));
  const Var bad(Tensor::full({2, 2}, std::nan(""), DType::float64));
  CHECK(std::isnan(sigmoid_loss(tape, a, bad, none, none).value.item()));
}
