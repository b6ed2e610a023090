// How much work a model is: floating-point operations of its matrix products, 1 multiply-add = 2. Norms,
// activations and softmax are not counted, a causal attention counts in full: the usual model FLOPs, so that
// shares of a peak can be compared with published ones; what our towers leave out (the last block runs on one
// token) is counted too. For R rows, B batch, S tokens, W width:
//   (1)  linear I -> O: 2 R I O          a convolution: R pixels of the result, I = k k channels
//   (2)  attention: 4 B Sq Sk W          Q K^T and P V
//   (3)  backward: dW and dX, each as (1); attention 2 x (2); no dX into what gets no gradient
#pragma once

#include "models/clip.h"
#include "models/clipcap.h"
#include "models/unet.h"

namespace gmail {

struct Flops {
  double forward = 0, backward = 0;
  [[nodiscard]] double step() const { return forward + backward; }
  Flops& operator-=(const Flops& other) {
    forward -= other.forward;
    backward -= other.backward;
    return *this;
  }
  Flops& operator+=(const Flops& other) {
    forward += other.forward;
    backward += other.backward;
    return *this;
  }
};

[[nodiscard]] Flops image_tower_flops(const ClipConfig& config, int64_t images);
// What a tower's last block leaves out, since one token of `tokens` leaves it: q, out and MLP of the others.
// The counts of the towers include it.
[[nodiscard]] Flops last_block_flops_left_out(const TowerConfig& tower, int64_t batch, int64_t tokens);
// ids to embeddings, `tokens` a text
[[nodiscard]] Flops text_tower_flops(const ClipConfig& config, int64_t texts, int64_t tokens);
// the logits (N, N) of image and text embeddings
[[nodiscard]] Flops contrastive_flops(const ClipConfig& config, int64_t pairs);

// A step of stage A (gmail/align.h) on N pairs: f_r forward; f_g, frozen but for LoRA of rank r on q, k, v
// and out and its projection, forward and backward; the logits of eq. (1), with a gradient to f_g alone.
struct AlignFlops {
  double done = 0;
  double skipped = 0;  // of the backward pass: dW of what is frozen, dX below the lowest LoRA matrix
};
[[nodiscard]] AlignFlops align_flops(const ClipConfig& config, int64_t pairs, int64_t rank);

// A captioner's step: mapper, blocks over prefix and tokens, logits for the tokens + 1 that have a target.
[[nodiscard]] Flops clipcap_flops(const ClipCapConfig& config, int64_t captions, int64_t tokens);

// Forward only: `tokens` new tokens a row after `past` cached ones, logits for the last of them.
[[nodiscard]] double gpt2_flops(const Gpt2Config& config, int64_t rows, int64_t tokens, int64_t past);

// text_keys() and forward() on square images, `tokens` a text; the text is frozen and gets no gradient.
[[nodiscard]] Flops unet_flops(const Unet& unet, int64_t images, int64_t tokens);
// the share of text_keys() in it
[[nodiscard]] Flops text_keys_flops(const Unet& unet, int64_t images, int64_t tokens);

}  // namespace gmail
