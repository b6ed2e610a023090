#include "gradcheck.h"

#include <cmath>
#include <numeric>

#include "devices.h"

namespace gmail::test {
namespace {

std::vector<Var> as_inputs(Tape& tape, const std::vector<Tensor>& inputs) {
  std::vector<Var> vars;
  for (const Tensor& t : inputs)
    vars.push_back(!t ? Var() : t.dtype() == DType::int32 ? tape.constant(t) : tape.input(t));
  return vars;
}

struct Run {
  Tensor y;
  std::vector<Tensor> grads;
};

// A copy on the tensor's device whose memory begins one element past an aligned address.
Tensor shifted(const Tensor& t) {
  const int64_t n = t.numel();
  Tensor copy = Tensor::empty({n + 1}, t.dtype(), t.device()).rows(1, n + 1).reshape(t.shape());
  copy.copy_from(t);
  return copy;
}

// the function and its gradients on a device; everything comes and goes by way of the CPU
Run run(const Function& f, const std::vector<Tensor>& inputs, const Tensor& dy_or_absent,
        const Context& ctx = {}, bool unaligned = false) {
  Run out;
  Tape tape(ctx);
  std::vector<Tensor> there;
  for (const Tensor& t : inputs) {
    there.push_back(ctx.here(t));
    if (t && unaligned) there.back() = shifted(there.back());
  }
  const auto vars = as_inputs(tape, there);
  const Var y = f(tape, vars);
  out.y = y.value.to(Device::cpu).clone();
  const Tensor dy = dy_or_absent ? dy_or_absent.to(y.dtype()) : random(y.shape(), 99, y.dtype());
  tape.backward(y, ctx.here(dy));
  for (const Var& v : vars) {
    const Tensor g = v.tracked() ? tape.grad(v).to(Device::cpu) : Tensor();
    out.grads.push_back(g ? g.clone() : Tensor());
  }
  return out;
}

}  // namespace

Tensor random(const Shape& shape, uint64_t salt, DType dtype) {
  Tensor t = Tensor::empty(shape, statistics_of(dtype));
  fill_normal(t, 1.0, 1234, Purpose::test, salt);
  return t.to(dtype);
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

namespace {
std::string compare(const Run& got, const Run& exact, double rtol, const std::string& where) {
  std::string difference = close(got.y.to(DType::float64), exact.y, rtol, 1e-5);
  if (!difference.empty()) return where + ", forward: " + difference;
  for (size_t k = 0; k < exact.grads.size(); ++k) {
    if (!exact.grads[k] && !got.grads[k]) continue;
    difference = close(got.grads[k].to(DType::float64), exact.grads[k], rtol, 1e-4);
    if (!difference.empty()) return concat(where, ", gradient of input ", k, ": ", difference);
  }
  return "";
}
}  // namespace

namespace {
double dot(const Tensor& a, const Tensor& b) {
  const auto x = a.span<double>(), y = b.span<double>();
  return std::inner_product(x.begin(), x.end(), y.begin(), 0.0);
}

double value(const Function& f, const std::vector<Tensor>& inputs, const Tensor& dy) {
  const Context ctx;
  Tape tape(ctx, Tape::Mode::forget);  // dropout is on
  return dot(f(tape, as_inputs(tape, inputs)).value, dy);
}

std::string finite_differences(const Function& f, const std::vector<Tensor>& inputs, double tolerance) {
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
}  // namespace

// Inputs of two dimensions and more are activations or matrices and take the type; vectors are parameters of
// a norm or a bias and stay float32.
std::string device_agrees(const Function& f, const std::vector<Tensor>& inputs) {
  if (!has_device()) return "";
  std::string difference;  // the first
  for (const DType type : {DType::float32, DType::bfloat16}) {
    std::vector<Tensor> rounded, exact_inputs;
    for (const Tensor& t : inputs) {
      const bool real = t && t.dtype() != DType::int32;
      rounded.push_back(!real ? t : t.to(t.rank() >= 2 ? type : DType::float32));
      exact_inputs.push_back(!real ? t : rounded.back().to(DType::float64));
    }
    const Tensor like = run(f, exact_inputs, Tensor()).y;
    const Tensor dy = random(like.shape(), 99).to(type);
    const Run exact = run(f, exact_inputs, dy.to(DType::float64));
    const auto check = [&](const Context& ctx, bool unaligned) {
      if (!difference.empty()) return;
      difference = compare(run(f, rounded, dy, ctx, unaligned), exact, type == DType::float32 ? 1e-4 : 2e-2,
                           concat(device_name(), " ", name_of(type), unaligned ? ", unaligned" : ""));
    };
    on_the_device([&](const Context& ctx) { check(ctx, false); });
    check(device_context(), true);
  }
  return difference;
}

std::string gradcheck(const Function& f, const std::vector<Tensor>& inputs, double tolerance) {
#if GMAIL_EMULATED  // the plain build has the finite differences
  (void)tolerance;
  (void)finite_differences;
#else
  const std::string difference = finite_differences(f, inputs, tolerance);
  if (!difference.empty()) return difference;
#endif
  return device_agrees(f, inputs);
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
