#include <set>

#include "train/audit.h"

namespace gmail {
namespace {

double bytes_of(const Var& v) { return v ? static_cast<double>(v.value.bytes()) : 0; }
double count(int64_t n) { return static_cast<double>(n); }

bool is_linear(const OpCall& call) { return call.name == "linear" || call.name == "linear_add"; }

// FLOPs of the matrix products of an op, forward and backward; see models/flops.h.
struct Products {
  double flop = 0, backward = 0;
};
Products times(double flop, double backward) { return {flop, backward * flop}; }

// A layer and its update as ops/lora.h (1) and (4) count them, whichever way the backend goes
Products lora_products(const OpCall& call) {
  const Vars& in = call.inputs;
  const double I = count(in[1].size(1)), O = count(in[1].size(0)), r = in[3] ? count(in[3].size(0)) : 0,
               rows = count(in[0].value.numel()) / I;
  const double base = 2 * rows * I * O, down = 2 * rows * I * r, up = 2 * rows * O * r;
  const auto tracked = [&](size_t i) { return in[i].tracked() ? 1.0 : 0.0; };
  const double low = in[0].tracked() || in[3].tracked() ? 1 : 0;
  return {base + down + up,
          (tracked(0) + tracked(1)) * base + (tracked(0) + tracked(3)) * down + (low + tracked(4)) * up};
}

Products products_of(const OpCall& call) {
  const Vars& in = call.inputs;
  const double out = call.y ? count(call.y.value.numel()) : 0;
  const auto tracked = [&](size_t i) { return in[i].tracked() ? 1.0 : 0.0; };
  if (call.name == "lora_linear") return lora_products(call);
  if (is_linear(call)) return times(2 * out * count(in[1].size(1)), tracked(0) + tracked(1));
  if (call.name == "mlp") {  // two products of one size each: dw of both, dh if anything before asks, dx
    const bool hidden = in[0].tracked() || in[1].tracked() || (in[2] && in[2].tracked());
    const double products = tracked(3) + (hidden ? 1 : 0) + tracked(1) + tracked(0);
    return times(4 * out * count(in[1].size(0)), products / 2);
  }
  if (call.name == "conv2d")
    return times(2 * out * count(in[1].value.numel() / in[1].size(0)), tracked(0) + tracked(1));
  if (call.name == "matmul") {
    const double rows = out / count(call.y.size(-1));
    return times(2 * out * count(in[0].value.numel()) / rows, tracked(0) + tracked(1));
  }
  if (call.name == "attention") return times(4 * out * count(in[1].size(1)), call.y.tracked() ? 2.0 : 0.0);
  if (call.name == "info_nce" || call.name == "sigmoid_loss")
    return times(2 * count(in[0].value.numel()) * count(in[1].size(0)), tracked(0) + tracked(1));
  return {};
}

double forward_bytes(const OpCall& call) {
  static const std::set<std::string> picks{"embedding", "gather_rows", "slice"};  // read what they copy
  const double result = bytes_of(call.y);
  if (call.name == "reshape") return 0;
  if (picks.contains(call.name)) return 2 * result;
  double sum = result;
  for (const Var& v : call.inputs) sum += bytes_of(v);
  return sum;
}

// Does the backward pass read input i? Products read one factor for the gradient of the other.
bool reads(const OpCall& call, size_t i) {
  static const std::set<std::string> neither{
      "add",   "scale",   "cast",    "dropout",          "embedding",    "gather_rows",   "concat",
      "slice", "softmax", "reshape", "upsample_nearest", "l2_normalize", "pixel_shuffle", "pixel_unshuffle"};
  if (neither.contains(call.name)) return false;
  if (is_linear(call) || call.name == "conv2d") return i < 2 && call.inputs[1 - i].tracked();
  return true;
}

// Is the gradient of input i dy itself, handed on without work?
bool passes(const OpCall& call, size_t i) {
  const bool residual_last = call.name == "mlp" || call.name == "lora_linear";
  if (call.name == "reshape" || (is_linear(call) && i == 3) || (residual_last && i == 5)) return true;
  return call.name == "add" && call.inputs[i].value.numel() == call.y.value.numel();
}

double backward_bytes(const OpCall& call) {
  static const std::set<std::string> reads_result{"attention", "softmax", "l2_normalize"};
  double written = 0, read = bytes_of(call.y);  // dy
  if (reads_result.contains(call.name)) read += bytes_of(call.y);
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    const Var& v = call.inputs[i];
    if (reads(call, i)) read += bytes_of(v);
    if (v.tracked() && !passes(call, i)) written += bytes_of(v);
  }
  return written == 0 ? 0 : read + written;
}

}  // namespace

OpWork work_of(const OpCall& call) {
  const auto [flop, backward] = products_of(call);
  OpWork work{flop, 0, forward_bytes(call), 0};
  if (call.dy) {
    work.backward_flop = backward;
    work.backward_bytes = backward_bytes(call);
  }
  return work;
}

}  // namespace gmail
