// How two sets of embeddings lie to each other. All are taken of the normalised rows, x^ = x / |x|.
//   (1)  paired cosine   mean_i x^_i . y^_i                     (the GMAIL paper, Table 14; arXiv:2602.15368)
//   (2)  modality gap    | mean_i x^_i - mean_i y^_i |          (Liang et al. 2022, arXiv:2203.02053, sec. 4)
//   (3)  alignment       mean_i | x^_i - y^_i |^2               (Wang and Isola 2020, arXiv:2005.10242, alpha
//   = 2) (4)  uniformity      log mean_{i<j} exp(-2 | x^_i - x^_j |^2) (the same, t = 2)
#pragma once

#include "core/tensor.h"

namespace gmail {

struct PairStats {
  double cosine = 0;      // eq. (1)
  double cosine_std = 0;  // standard deviation over the pairs
  double gap = 0;         // eq. (2)
  double alignment = 0;   // eq. (3), 2 - 2 cosine
};

// x and y (N, E) float32; row i of x belongs to row i of y
[[nodiscard]] PairStats pair_stats(const Tensor& x, const Tensor& y);

// eq. (2) for sets of different size
[[nodiscard]] double modality_gap(const Tensor& x, const Tensor& y);

// eq. (4): x (N, E) float32 with N >= 2
[[nodiscard]] double uniformity(const Tensor& x);

}  // namespace gmail
