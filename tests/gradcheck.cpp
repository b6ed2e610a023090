#include "gradcheck.h"

#include <cmath>
#include <numeric>

namespace gmail::test {
namespace {

std::vector<Var> as_inputs(Tape& tape, const std::vector<Tensor>& inputs) {
  std::vector<Var> vars;
  for (const Tensor& t : inputs)
    vars.push_back(!t ? Var() : t.dtype() == DType::int32 ? tape.constant(t) : tape.input(t));
  return vars;
}

double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.span<double>(), y = b.span<double>();
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

struct Run {
  Tensor y;
  std::vector<Tensor> grads;
};

Run run(const Function& f, const std::vector<Tensor>& inputs, const Tensor& dy_or_absent) {
  const Context ctx;
  Run out;
  Tape tape(ctx);
  const auto vars = as_inputs(tape, inputs);
  const Var y = f(tape, vars);
  out.y = y.value.clone();
  const Tensor dy = dy_or_absent ? dy_or_absent.to(y.dtype()) : random(y.shape(), 99, y.dtype());
  tape.backward(y, dy);
  for (const Var& v : vars) {
    const Tensor g = v.tracked() ? tape.grad(v) : Tensor();
    out.grads.push_back(g ? g.clone() : Tensor());
  }
  return out;
}

double value(const Function& f, const std::vector<Tensor>& inputs, const Tensor& dy) {
  const Context ctx;
  Tape tape(ctx, false);
  return dot(f(tape, as_inputs(tape, inputs)).value, dy);
}

}  // namespace

Tensor random(const Shape& shape, uint64_t salt, DType dtype) {
  Tensor t = Tensor::empty(shape, dtype);
  fill_normal(t, 1.0, 1234, Purpose::test, salt);
  return t;
}

std::string close(const Tensor& a, const Tensor& b, double rtol, double atol) {
  if (!a || !b) return a.defined() == b.defined() ? "" : "one of the tensors is absent";
  if (a.shape() != b.shape()) return concat("shapes ", a.shape(), " and ", b.shape());
  double scale = 0, worst = -1;
  int64_t at = 0;
  for (int64_t i = 0; i < b.numel(); ++i) scale = std::max(scale, std::abs(b.at(i)));
  for (int64_t i = 0; i < a.numel(); ++i) {
    const double difference = std::abs(a.at(i) - b.at(i));
    if (!(difference <= worst)) worst = difference, at = i;
    if (std::isnan(difference)) break;
  }
  if (a.numel() == 0 || worst <= rtol * scale + atol) return "";
  return concat("index ", at, ": ", a.at(at), " and ", b.at(at), ", difference ", worst, ", allowed ",
                rtol * scale + atol);
}

std::string gradcheck(const Function& f, const std::vector<Tensor>& inputs, double tolerance) {
  constexpr double h = 1e-5;
  std::vector<Tensor> own;
  for (const Tensor& t : inputs) own.push_back(t ? t.clone() : t);
  const Run analytic = run(f, own, Tensor());
  const Tensor dy = random(analytic.y.shape(), 99);
  for (size_t k = 0; k < own.size(); ++k) {
    if (!own[k] || own[k].dtype() == DType::int32) continue;
    if (!analytic.grads[k]) return concat("input ", k, " got no gradient");
    Tensor numeric = Tensor::zeros(own[k].shape(), DType::float64);
    for (int64_t i = 0; i < own[k].numel(); ++i) {
      double& x = own[k].data<double>()[i];
      const double x0 = x;
      x = x0 + h;
      const double up = value(f, own, dy);
      x = x0 - h;
      const double down = value(f, own, dy);
      x = x0;
      numeric.data<double>()[i] = (up - down) / (2 * h);
    }
    const std::string difference = close(analytic.grads[k], numeric, tolerance, tolerance * 1e-3);
    if (!difference.empty()) return concat("gradient of input ", k, " ", own[k].shape(), ": ", difference);
  }
  return "";
}

std::string float_agrees(const Function& f, const std::vector<Tensor>& inputs, double rtol) {
  rtol = std::max(rtol, 1e-4);
  std::vector<Tensor> single;
  for (const Tensor& t : inputs)
    single.push_back(t && t.dtype() == DType::float64 ? t.to(DType::float32) : t);
  std::vector<Tensor> rounded;  // the double run sees exactly the float run's inputs
  for (const Tensor& t : single)
    rounded.push_back(t && t.dtype() == DType::float32 ? t.to(DType::float64) : t);
  const Run exact = run(f, rounded, Tensor());
  const Run fast = run(f, single, random(exact.y.shape(), 99));
  std::string difference = close(fast.y, exact.y, rtol, 1e-6);
  if (!difference.empty()) return concat("float forward: ", difference);
  for (size_t k = 0; k < exact.grads.size(); ++k) {
    difference = close(fast.grads[k], exact.grads[k], rtol, 1e-5);
    if (!difference.empty()) return concat("float gradient of input ", k, ": ", difference);
  }
  return "";
}

}  // namespace gmail::test
