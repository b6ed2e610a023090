// The CLIP flow: inference. Real images go through f_r (Algorithm 1, lines 15-18: f_r(x_r), not f_g(x_r)),
// texts through h; what is compared are cosines. Also the plumbing that turns whole image sets into
// embeddings.
#pragma once

#include "data/loader.h"
#include "gmail/gen_clip_flow.h"
#include "gmail/model_folder.h"

namespace gmail {

// One of the two encoders, as it is used: images (B, 3, S, S) -> (B, E), before normalisation.
struct ImageEncoder {
  std::string name;      // "f_r" or "f_g"
  ParamList params;      // with `settings` all that its result depends on
  std::string settings;  // heads, activation, epsilon, LoRA scales
  std::function<Var(Tape&, const Var&)> encode;
  [[nodiscard]] Var operator()(Tape& tape, const Var& x) const { return encode(tape, x); }
};

// The encoder that real images see: f_r, or the LoRA trunk with "Proj for Real" if the adapter has one.
// adapter may be null: then f_r.
[[nodiscard]] ImageEncoder real_encoder(ImageTower& f_r, GenClip* adapter);
[[nodiscard]] ImageEncoder generated_encoder(GenClip& adapter);

// Embeddings (n, E) of images `index` of the store, before normalisation, `batch` at a time without a tape.
[[nodiscard]] Tensor embed_images(const Context& ctx, const ImageEncoder& encode, const ImageStore& store,
                                  std::span<const int64_t> index, const Normalisation& norm,
                                  int64_t batch = 64);
[[nodiscard]] Tensor embed_all_images(
    const Context& ctx, const ImageEncoder& encode, const ImageStore& store,
    const Normalisation& norm);  // one row a record; a damaged image's is black's

// Text embeddings (n, E) of h, before normalisation.
[[nodiscard]] Tensor embed_texts(const Context& ctx, ClipModel& model, std::span<const std::string> texts,
                                 int64_t batch = 128);

// rows `index` of x (N, C) -> (n, C)
[[nodiscard]] Tensor take_rows(const Tensor& x, std::span<const int64_t> index);

}  // namespace gmail
