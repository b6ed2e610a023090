// Clipping by the global norm (Pascanu et al. 2013, arXiv:1211.5063), as torch.nn.utils.clip_grad_norm_:
//   (1)  norm = sqrt(sum over all gradients of g^2)
//   (2)  g <- g * min(1, clip / (norm + 1e-6))
#pragma once

#include <span>

namespace gmail {

// (1), summed in double, in an order that does not depend on the number of threads.
[[nodiscard]] double global_norm(std::span<const float> grads);

// The factor of (2); 1 if clip is 0 (off).
[[nodiscard]] double clip_factor(double norm, double clip);

}  // namespace gmail
