// The settings of `gmail demo`: one recipe, three sizes. The full size is what `make tabletop-weights`
// trains; --quick shrinks every stage so that the whole method runs from nothing in two minutes.
#pragma once

#include "gmail/align.h"
#include "gmail/arms.h"
#include "gmail/generator.h"
#include "gmail/pretrain.h"

namespace gmail::cli {

struct DemoRecipe {
  // the world: f_r learns `pretrain` photos, the generator `studio` pictures of other scenes; D_r is `train`
  int64_t size = 32, pretrain = 40000, studio = 20000, train = 2000, test = 1000, singles = 480, unseen = 300;
  int max_solids = 2;

  // f_r
  ClipConfig clip;
  int64_t vocab = 640, pretrain_batch = 128, pretrain_steps = 6000;
  double pretrain_lr = 1.5e-3;

  // generator
  UnetConfig unet;
  int64_t generator_batch = 32, generator_steps = 6000;
  double generator_lr = 1e-3;
  SampleOptions sample{.steps = 10, .guidance = 3, .clamp = 1, .batch = 64};
  int64_t judged = 240;  // generated images of one solid, fresh captions, named by the aligned f_g

  // stage A
  int64_t align_batch = 128, align_steps = 400;
  double align_lr = 1e-3;

  // stage B
  Gpt2Config gpt;
  int64_t prefix_length = 4, caption_batch = 128, caption_steps = 300;
  double caption_lr = 2e-3;
  int64_t text_batch = 128, text_steps = 100, text_lora_rank = 0;
  double text_lr = 2e-4;

  bool cuda_graph = false;  // on a GPU: steps of every stage are recorded once and launched as one
};

[[nodiscard]] DemoRecipe full_recipe();
[[nodiscard]] DemoRecipe quick_recipe();

// Common training settings: AdamW with decay and clip 1, cosine with warm-up, checkpoints, always resumable.
[[nodiscard]] TrainOptions recipe_training(const std::filesystem::path& out, int64_t steps, double lr,
                                           uint64_t seed, const std::string& command);

}  // namespace gmail::cli
