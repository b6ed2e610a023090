// Scratch memory of an op: a tensor that lives to the end of its scope and goes back to its stream's arena.
// The next op that gets the memory is run by the stream after this one, so nobody waits; after the first step
// nothing is allocated.
#pragma once

#include "device_span.h"

namespace gmail::cuda {

[[nodiscard]] Tensor temporary(const Shape& shape, DType dtype, Stream stream);

// The tensor in another type: itself if it has it, else a temporary copy; of a frozen weight
// (Storage::constant) a copy that is made once and kept with it.
[[nodiscard]] Tensor in_type(const Tensor& t, DType type, Stream stream);

}  // namespace gmail::cuda
