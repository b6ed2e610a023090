// Workload C3: one training step of a tiny ViT, forward, backward and AdamW. 32 images of 32 x 32, patches of
// 4 (65 tokens with the class token), width 192, 6 layers, 3 heads, MLP 4 x 192, quick_gelu; the projection
// of the class token gives 10 logits, softmax cross entropy; float32. scripts/compare_pytorch.py does the
// same from the same weights.
#pragma once

#include <filesystem>
#include <memory>

#include "models/clip.h"
#include "train/optimiser.h"

namespace gmail::cli {

class TinyVit {
 public:
  TinyVit(const Context& ctx, uint64_t seed);

  Tensor step();                      // returns the loss before it
  [[nodiscard]] double flop() const;  // of a step
  [[nodiscard]] int64_t batch() const { return images_.size(0); }

  // The weights as they are, the images "bench.images" (32, 32, 32, 3) and "bench.labels" (32), and as
  // "bench.losses" those of the next `steps` steps, which it makes; the optimiser's settings as metadata.
  void write_state(const std::filesystem::path& file, int64_t steps);

 private:
  const Context& ctx_;
  ClipConfig config_;
  ImageTower tower_;
  std::unique_ptr<Optimiser> optimiser_;
  Tensor images_, labels_;
  AdamW adamw_{.weight_decay = 0.05, .beta1 = 0.9, .beta2 = 0.98, .eps = 1e-8};
  double lr_ = 1e-4;
  int64_t steps_ = 0;
};

}  // namespace gmail::cli
