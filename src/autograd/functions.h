// The ops as the models call them: compute, then record the gradient under the forward call. Every function
// names the header in ops/ that holds its equations. An absent Var stands for an optional argument that is
// not given. Shapes: B batch, T tokens, C channels, H height, W width, N rows. Images are channels-last: (B,
// H, W, C).
#pragma once

#include <vector>

#include "autograd/tape.h"
#include "ops/activation.h"
#include "ops/attention.h"
#include "ops/contrastive.h"
#include "ops/dropout.h"

namespace gmail {

// --- matrix products (fn_linear.cpp) ---
// y (..., O) = alpha * x (..., I) w^T + b + residual;  w (O, I), b (O) and residual (..., O) optional
// ops/linear.h
Var linear(Tape& tape, const Var& x, const Var& w, const Var& b, const Var& residual = Var(),
           double alpha = 1);
// y (..., O) = act(x (..., I) w1^T + b1) w2^T + b2 + residual;  w1 (H, I), w2 (O, H); vectors may be absent
// ops/mlp.h
Var mlp(Tape& tape, const Var& x, const Var& w1, const Var& b1, const Var& w2, const Var& b2, Activation act,
        const Var& residual = Var());
// LoRA: y (..., O) = x (..., I) w^T + scale (x a^T) b^T + bias + residual for each layer; a (r, I), b (O, r),
// scale = alpha / r; bias, residual, and a and b together may be absent
// ops/lora.h
struct LoraVars {
  Var w, bias, a, b;
  double scale = 1;
  Var residual;
};
Vars lora_linear(Tape& tape, const Var& x, std::vector<LoraVars> layers);
// c = op(a) op(b), op = transpose of the last two dimensions if asked; leading dimensions equal
// ops/matmul.h
Var matmul(Tape& tape, const Var& a, const Var& b, bool transpose_a = false, bool transpose_b = false);
// x (B, H, W, I), w (O, I, kh, kw), b (O) optional -> (B, H', W', O)
// ops/conv2d.h
Var conv2d(Tape& tape, const Var& x, const Var& w, const Var& b, int stride, int pad);
// q (B, Tq, C), k and v (B, Tk, C), heads side by side in C -> (B, Tq, C)
// ops/attention.h
Var attention(Tape& tape, const Var& q, const Var& k, const Var& v, int heads,
              const AttentionMask& mask = {});

// --- look-ups and shapes (fn_shape.cpp) ---
// table (V, C), ids int32 of any shape -> (..., C)
// ops/embedding.h
Var embedding(Tape& tape, const Var& table, const Tensor& ids);
// x (B, T, C), index (B) int32 -> (B, C): row index[b] of each b (class token, end-of-text token)
// ops/gather_rows.h
Var gather_rows(Tape& tape, const Var& x, const Tensor& index);
Var concat(Tape& tape, const std::vector<Var>& parts, int dim);            // ops/concat.h
Var slice(Tape& tape, const Var& x, int dim, int64_t begin, int64_t end);  // ops/concat.h
// What the host made (a batch of images), where and as the ops of this tape read it: float32 becomes the
// context's precision
Var from_host(Tape& tape, const Var& x);
Var reshape(Tape& tape, const Var& x, const Shape& shape);  // no work
// (B, H, W, C) -> (B, 2H, 2W, C)
// ops/resample.h
Var upsample_nearest(Tape& tape, const Var& x);
// (B, H, W, C r r) <-> (B, H r, W r, C); the channel of sub-pixel (i, j) is c r r + i r + j
// ops/resample.h
Var pixel_shuffle(Tape& tape, const Var& x, int r);
Var pixel_unshuffle(Tape& tape, const Var& x, int r);

// --- element by element (fn_elementwise.cpp) ---
Var add(Tape& tape, const Var& a, const Var& b);  // either side broadcasts as in NumPy        ops/broadcast.h
Var mul(Tape& tape, const Var& a, const Var& b);  //                                           ops/broadcast.h
Var scale(Tape& tape, const Var& x,
          double factor);  //                                           ops/broadcast.h
Var activation(Tape& tape, const Var& x,
               Activation kind);  // quick_gelu gelu_erf gelu_tanh silu relu tanh  ops/activation.h
Var cast(Tape& tape, const Var& x, DType type);  // x itself if it has the type       ops/broadcast.h
Var geglu(Tape& tape, const Var& x);             // (..., 2C) -> (..., C)                     ops/geglu.h
Var dropout(Tape& tape, const Var& x, double p,
            const DropoutKey& key);  // no-op outside training             ops/dropout.h

// --- normalisation (fn_norm.cpp) ---
Var layer_norm(Tape& tape, const Var& x, const Var& w, const Var& b, double eps);  // ops/layer_norm.h
// x (B, H, W, C) or (B, T, C); with silu the result is silu(group_norm(x))
// ops/group_norm.h
Var group_norm(Tape& tape, const Var& x, const Var& w, const Var& b, int groups, double eps,
               bool silu = false);
Var softmax(Tape& tape, const Var& x);  // over the last dimension                  ops/softmax.h
Var l2_normalize(Tape& tape, const Var& x,
                 double eps = 1e-12);  // each row / max(its norm, eps)            ops/l2_normalize.h

// --- losses: one-element results (fn_loss.cpp) ---
// mean over rows with mask != 0 of -log softmax(logits)[target]; logits (N, V), targets (N) int32, mask (N)
// int32 or absent
Var softmax_cross_entropy(Tape& tape, const Var& logits, const Tensor& targets,
                          const Tensor& mask = Tensor());
// a, b (N, E) of unit length, log_scale (1): logits = exp(log_scale) a b^T
// ops/contrastive.h
Var info_nce(Tape& tape, const Var& a, const Var& b, const Var& log_scale,
             const InfoNceOptions& options = {});
Var sigmoid_loss(Tape& tape, const Var& a, const Var& b, const Var& log_scale,
                 const Var& bias);  // ops/contrastive.h
// mean over b of weight[b] * mean((prediction[b] - target[b])^2); weight (B) optional
// ops/mse.h
Var weighted_mse(Tape& tape, const Var& prediction, const Tensor& target, const Tensor& weight = Tensor());

// --- memory for time (recompute.cpp) ---
// Runs f without keeping its activations and again during backward (activation checkpointing, Chen et al.
// 2016, arXiv:1604.06174). Parameters that f uses get their gradients as usual.
Var recompute(Tape& tape, const std::vector<Var>& inputs,
              const std::function<Var(Tape&, const std::vector<Var>&)>& f);

}  // namespace gmail
