// Pretraining a small CLIP from scratch: the f_r of the built-in world and of the photo experiments. The
// loss is CLIP's (Radford et al. 2021, arXiv:2103.00020, fig. 3): symmetric InfoNCE with a learned
// temperature, clamped to [1, 100].
#pragma once

#include "data/loader.h"
#include "gmail/model_folder.h"
#include "train/trainer.h"

namespace gmail {

struct PretrainOptions {
  std::filesystem::path manifest, cache;
  std::filesystem::path tokenizer;  // folder; empty: byte-pair encoding trained on the captions
  std::string split = "train";
  ClipConfig model;      // vocab_size is the tokenizer's if 0
  int64_t vocab = 1024;  // for a new tokenizer
  Normalisation norm = kHalfNormalisation;
  int64_t batch = 64,
          chunk = 0;  // chunk: GradCache with so many pairs at a time, 0 = the whole batch at once
  Augment augment{.crop_shift = 2, .flip = false};
  bool checkpointing = false, mask_duplicates = true;
  StoreAs store = StoreAs::as_is;
  TrainOptions train;
};

// Writes the model folder and the run's log into options.train.out.
TrainReport pretrain(const Context& ctx, const PretrainOptions& options);

// The symmetric contrastive loss of image and text embeddings (B, E) before normalisation; group (B) int32
// or absent.
[[nodiscard]] Var clip_loss(Tape& tape, const Var& image, const Var& text, const Var& log_scale,
                            const Tensor& group);

// Rows with equal texts get equal numbers: images of the same words are no negatives of each other.
[[nodiscard]] Tensor same_text_groups(std::span<const std::string> texts);

// Keeps exp(logit_scale) in [1, 100] (after each step).
void clamp_logit_scale(const Context& ctx, Param& logit_scale);

}  // namespace gmail
