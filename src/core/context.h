// What an op needs besides its arguments: the device, its stream, and the arena of the step's tensors. No
// globals.
#pragma once

#include <memory>

#include "core/arena.h"
#include "core/device.h"
#include "core/tensor.h"

namespace gmail {

struct Context {
  Device device = Device::cpu;
  Stream stream;
  DType precision = DType::float32;  // of activations that a float32 parameter begins (an embedding)
  std::shared_ptr<Arena> arena = std::make_shared<Arena>();

  // a step tensor: its memory goes back to the arena with its last handle
  [[nodiscard]] Tensor empty(const Shape& shape, DType dtype) const {
    return Tensor::empty(shape, dtype, device, arena);
  }
  [[nodiscard]] Tensor zeros(const Shape& shape, DType dtype) const;
  [[nodiscard]] Tensor full(const Shape& shape, double value, DType dtype) const;
  void fill(Tensor& t, double value) const;
  // What the host made, where the ops of this context can read it; the copy takes its turn on the stream.
  [[nodiscard]] Tensor here(const Tensor& t) const;
  // The same into `there`, whose place in memory does not change: it is allocated at the first call, on the
  // heap. On the CPU `there` becomes `t`.
  void put(Tensor& there, const Tensor& t) const;
};

// A stream and an arena of the CUDA device's own; Error where there is none.
[[nodiscard]] Context make_cuda_context(DType precision);

}  // namespace gmail
