// Gradients against central differences, in double, on L = sum(dy * y) with a fixed random dy:
//   dL/dx_i  ~  (L(x + h e_i) - L(x - h e_i)) / 2h,   h = 1e-5.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "autograd/tape.h"
#include "core/rng.h"

namespace gmail::test {

// random tensor, float64 unless told, normal(0, 1), different for each salt
[[nodiscard]] Tensor random(const Shape& shape, uint64_t salt, DType dtype = DType::float64);

using Function = std::function<Var(Tape&, const std::vector<Var>&)>;

// Checks the gradient of every input. An absent tensor among the inputs is passed on as an absent Var.
// tolerance is relative to the largest gradient of that input (or 1e-3, whichever is larger). Returns "" or
// what differs.
[[nodiscard]] std::string gradcheck(const Function& f, const std::vector<Tensor>& inputs,
                                    double tolerance = 1e-6);

// "" if |a - b| <= rtol * max|b| + atol everywhere; else the worst index and both values. Fails on NaN.
[[nodiscard]] std::string close(const Tensor& a, const Tensor& b, double rtol, double atol = 0);

// In a build with the CUDA backend the same function also runs on the device, in float32 and bfloat16, and
// must agree with the CPU's double: on a GPU if there is one, or on the emulator under each of its
// schedules, and once with inputs at addresses that no wide access may use. An emulated build leaves the
// finite differences to the others.

// That part of it alone, for sizes whose finite differences take too long; "" without a device.
[[nodiscard]] std::string device_agrees(const Function& f, const std::vector<Tensor>& inputs);

// The same function in float must agree with double: forward and gradients.
[[nodiscard]] std::string float_agrees(const Function& f, const std::vector<Tensor>& inputs,
                                       double rtol = 1e-4);

}  // namespace gmail::test

// One line per case: CHECK_GRAD(lambda, {x, w, b}); runs gradcheck in double and float against double.
#define CHECK_GRAD(...)                                    \
  do {                                                     \
    CHECK(::gmail::test::gradcheck(__VA_ARGS__) == "");    \
    CHECK(::gmail::test::float_agrees(__VA_ARGS__) == ""); \
  } while (false)
