// Stage A: the Gen-CLIP flow. f_g learns to put a generated image where f_r puts the real image of the same
// caption.
//
//   eq. (1)   L_align = -1/|B| sum_i log  exp(sim(f_g(x_g^i), f_r(x_r^i)) / tau)
//                                         / sum_j exp(sim(f_g(x_g^i), f_r(x_r^j)) / tau),      sim = cosine
//
// Rows are generated images, columns the batch's real images; one direction only, unless `symmetric`. f_r
// gets no gradient, so without augmentation its embeddings are computed once and kept. Pairs of one real
// image (several generated images of a caption) are no negatives of each other; `mask_duplicates = false` is
// the literal formula.
#pragma once

#include "gmail/gen_clip_flow.h"
#include "gmail/model_folder.h"
#include "train/trainer.h"

namespace gmail {

// eq. (1). z_g, z_r (B, E) as they leave the projections; group (B) int32 or absent.
[[nodiscard]] Var alignment_loss(Tape& tape, const Var& z_g, const Var& z_r, double tau, bool symmetric,
                                 const Tensor& group);

struct AlignOptions {
  std::filesystem::path manifest, real_manifest;  // the latter if the real records are elsewhere
  std::filesystem::path
      init;                // PEFT folder: layers, ranks, scales and LoRA matrices at the start are its own
  std::string base_model;  // folder or name of the CLIP, for the adapter's configuration
  std::string split;       // only generated records of this split, "" = all
  GenClipConfig gen;
  bool new_projection = false;  // --projection copy | new
  bool sequential = false;      // pairs in manifest order, wrapping around
  bool crop = false;            // shift crops on both images (the real embeddings are then not cached)
  bool symmetric = false, mask_duplicates = true;
  double tau = 0.07;
  int64_t batch = 256;
  bool cache_real = true;  // false: f_r runs in every step, for the test that this changes nothing
  TrainOptions train;
};

struct AlignReport {
  TrainReport train;
  int64_t pairs = 0;
  double trainable_share = 0;                  // of f_g's parameters
  double cosine_before = 0, cosine_after = 0;  // mean paired cosine on the training pairs
};

// Trains and writes a PEFT folder into options.train.out.
AlignReport align(const Context& ctx, ClipModel& base, const AlignOptions& options);

}  // namespace gmail
