// Contrastive losses over a batch of N pairs; a, b (N, E) have unit rows, t = exp(log_scale) = 1 / tau.
// InfoNCE (van den Oord et al. 2018, arXiv:1807.03748; CLIP, arXiv:2103.00020; GMAIL, arXiv:2602.15368,
// eq. 1), z_ij = t a_i . b_j:
//   (1)  L = -1/N sum_i log p_ii,   p_ij = exp(z_ij) / sum_{j in S_i} exp(z_ij)
//        S_i = all j, without those j != i that have the group of i: the same caption again is no negative
//   (2)  symmetric: the mean of (1) and of (1) with a and b exchanged
//   (3)  dz_ij = (p_ij - [i = j]) / N,   da = t dz b,   db = t dz^T a,   dlog_scale = sum_ij dz_ij z_ij
// Sigmoid loss (SigLIP, arXiv:2303.15343), z_ij = t a_i . b_j + bias, s_ij = +1 if i = j, else -1:
//   (4)  L = -1/N sum_ij log sigmoid(s_ij z_ij),   dz_ij = -s_ij sigmoid(-s_ij z_ij) / N
// Saved for backward: dz for dL = 1 (N, N).
#pragma once

#include "ops/grad.h"

namespace gmail {
struct InfoNceOptions {
  bool symmetric = false;
  Tensor group;  // (N) int32, absent: no two rows share a caption
};

struct ContrastiveSizes {
  int64_t N, E;
};
[[nodiscard]] ContrastiveSizes contrastive_sizes(const char* op, const Tensor& a, const Tensor& b,
                                                 const Tensor& dz);  // checks them

namespace cpu {
void info_nce_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                      const InfoNceOptions& options);
void info_nce_backward(Grad da, Grad db, Grad dlog_scale, const Tensor& dloss, const Tensor& dz,
                       const Tensor& a, const Tensor& b, const Tensor& log_scale);
void sigmoid_loss_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                          const Tensor& bias);
void sigmoid_loss_backward(Grad da, Grad db, Grad dlog_scale, Grad dbias, const Tensor& dloss,
                           const Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                           const Tensor& bias);
}  // namespace cpu

namespace cuda {  // the same on a stream: cuda/contrastive.cu
void info_nce_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                      const InfoNceOptions& options, Stream stream);
void info_nce_backward(Grad da, Grad db, Grad dlog_scale, const Tensor& dloss, const Tensor& dz,
                       const Tensor& a, const Tensor& b, const Tensor& log_scale, Stream stream);
void sigmoid_loss_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                          const Tensor& bias, Stream stream);
void sigmoid_loss_backward(Grad da, Grad db, Grad dlog_scale, Grad dbias, const Tensor& dloss,
                           const Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                           const Tensor& bias, Stream stream);
}  // namespace cuda
}  // namespace gmail
