#include "cli/demo_recipe.h"

namespace gmail::cli {

DemoRecipe full_recipe() {
  DemoRecipe r;
  r.clip.projection_dim = 128;
  r.clip.vision = {128, 512, 4, 4, Activation::quick_gelu, 1e-5};
  r.clip.text = {128, 512, 3, 4, Activation::quick_gelu, 1e-5};
  r.clip.image_size = 32;
  r.clip.patch_size = 8;
  r.clip.max_position_embeddings = 32;
  r.unet.sample_size = 32;
  r.unet.in_channels = r.unet.out_channels = 3;
  r.unet.pixel_unshuffle = 2;
  r.unet.layers_per_block = 1;
  r.unet.cross_attention_dim = r.unet.pooled_dim = 128;
  r.unet.block_out_channels = {48, 72, 72};
  r.unet.attention_head_dim = {3, 3, 3};
  r.unet.down_attention = {false, true, false};
  r.unet.norm_num_groups = 8;
  r.gpt = {.vocab_size = 0, .n_positions = 40, .n_embd = 128, .n_layer = 3, .n_head = 4};
  return r;
}

DemoRecipe quick_recipe() {
  DemoRecipe r = full_recipe();
  r.pretrain = 1500;
  r.studio = 1000;
  r.train = 256;
  r.test = 128;
  r.singles = 96;
  r.unseen = 48;
  r.judged = 24;
  r.max_solids = 1;
  r.clip.vision = {64, 256, 2, 2, Activation::quick_gelu, 1e-5};
  r.clip.text = {64, 256, 2, 2, Activation::quick_gelu, 1e-5};
  r.clip.projection_dim = 64;
  r.pretrain_batch = 64;
  r.pretrain_steps = 150;
  r.pretrain_lr = 2e-3;
  r.unet.cross_attention_dim = r.unet.pooled_dim = 64;
  r.unet.block_out_channels = {16, 32, 32};
  r.unet.attention_head_dim = {1, 1, 1};
  r.generator_batch = 16;
  r.generator_steps = 150;
  r.sample.steps = 6;
  r.align_batch = 64;
  r.align_steps = 40;
  r.gpt.n_embd = 64;
  r.gpt.n_head = 2;
  r.gpt.n_layer = 2;
  r.caption_batch = 64;
  r.caption_steps = 60;
  r.text_batch = 64;
  r.text_steps = 20;
  return r;
}

TrainOptions recipe_training(const std::filesystem::path& out, int64_t steps, double lr, uint64_t seed,
                             const std::string& command) {
  TrainOptions o;
  o.out = out;
  o.command = command;
  o.seed = seed;
  o.steps = steps;
  o.lr = lr;
  o.adamw = {.weight_decay = 0.01, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8};
  o.schedule = {.kind = ScheduleKind::cosine, .warmup = std::min<int64_t>(50, steps / 10)};
  o.clip = 1;
  o.save_every = 100;
  o.log_every = steps >= 1000 ? 10 : 1;
  o.resume = true;
  return o;
}

}  // namespace gmail::cli
