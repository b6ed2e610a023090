// What `gmail bench cpu` times. Weights and inputs are random numbers keyed by the seed; no file is read.
//   C1              CLIP ViT-B/32 image encode, 1 and 32 images of 224 x 224, frozen weights
//   C2              its text encode, 1 and 32 texts of 77 tokens
//   C3              a training step of a tiny ViT: forward, backward, AdamW (bench_tiny_vit.h)
//   C4              GPT-2 small: 20 tokens after a prefix of 10 vectors, greedy and 5 beams, key-value cache
//   C5              matrix products x w^T of float32, the weight packed beforehand or not
//   resize          CLIP's preprocessing of 640 x 480 pixels to 224 x 224: plain loops, vector code; one core
//   clip-step       the demo's step of CLIP pretraining, 64 pairs
//   generator-step  the demo's step of the generator, 32 images
#pragma once

#include "cli/bench_timing.h"
#include "core/context.h"
#include "models/clip.h"
#include "models/gpt2.h"

namespace gmail::cli {

[[nodiscard]] const std::vector<std::string>& workload_names();

// The parts of one of the names, set up one at a time: a call makes the part, which frees its memory when
// it goes.
using MakeWorkload = std::function<Workload()>;
[[nodiscard]] std::vector<MakeWorkload> make_workloads(const std::string& name, const Context& ctx,
                                                       uint64_t seed);

// by bench_models.cpp and bench_training.cpp
[[nodiscard]] Workload image_encode(const Context& ctx, uint64_t seed, int64_t batch);
[[nodiscard]] Workload text_encode(const Context& ctx, uint64_t seed, int64_t batch);
// `tokens` tokens for each of `images` prefixes of 10 vectors (fewer if the model has not the positions)
[[nodiscard]] Workload caption_decode(const Context& ctx, uint64_t seed, const Gpt2Config& gpt,
                                      int64_t images, int beams, int64_t tokens);
[[nodiscard]] Workload matrix_product(uint64_t seed, int64_t m, int64_t n, int64_t k, bool packed);
[[nodiscard]] Workload image_resize(uint64_t seed, bool plain);
[[nodiscard]] Workload tiny_vit_step(const Context& ctx, uint64_t seed);
[[nodiscard]] Workload clip_step(const Context& ctx, uint64_t seed);
[[nodiscard]] Workload generator_step(const Context& ctx, uint64_t seed);

// N(0, 1) on the device, in the type of the context's activations.
[[nodiscard]] Tensor noise_on(const Context& ctx, const Shape& shape, uint64_t seed, uint64_t index = 0);
[[nodiscard]] ClipConfig vit_b32();
[[nodiscard]] Gpt2Config gpt2_small();

// One frozen image tower and random images, on the context's device.
class ImageEncode {
 public:
  ImageEncode(const Context& ctx, const ClipConfig& config, uint64_t seed, int64_t batch);
  Tensor operator()(const Context& ctx);  // (B, E)
  [[nodiscard]] double flop() const;

 private:
  ClipConfig config_;
  ImageTower tower_;
  Tensor images_;
};

// What several benches share: names with something between them; those of a --workload a,b,c
[[nodiscard]] std::string list_of(const std::vector<std::string>& names, const std::string& between);
[[nodiscard]] std::vector<std::string> chosen(const std::string& list, const std::vector<std::string>& known);

}  // namespace gmail::cli
