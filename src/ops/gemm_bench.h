// What the processor can do at most: the measure that products are held against.
#pragma once

namespace gmail {

// GFLOP/s of independent chains of fused multiply-adds on float vectors as wide as the product's kernels use,
// on `threads` threads at once; the best of a few short runs.
[[nodiscard]] double measure_fma_peak(int threads);

}  // namespace gmail
