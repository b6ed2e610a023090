// The value of a one-element tensor for the host. On a GPU the copy takes its turn on the stream, and get()
// waits for it alone: asked for a step later, it is there.
#pragma once

#include "core/context.h"

namespace gmail {

class Reading {
 public:
  Reading() = default;
  Reading(const Context& ctx, const Tensor& t);
  [[nodiscard]] double get() const;

 private:
  Tensor value_;                        // on the CPU
  std::shared_ptr<cuda::Pinned> copy_;  // or on its way
  DType dtype_ = DType::float32;
};

}  // namespace gmail
