// What `gmail bench gpu` times. Weights and inputs are random numbers keyed by the seed and lie on the device
// before the first step; no file is read.
//   align-b32 -b16 -l14    the step of stage A for CLIP ViT-B/32, B/16, L/14: f_r forward, f_g with LoRA of
//                          rank 4 on q, k, v, out forward and backward, eq. (1), AdamW; 256 + 256 images
//   encode-b32 -b16 -l14   image embeddings of the frozen tower, 1 and 256 images
//   captioner-step         ClipCap on GPT-2 small, every weight trained: 40 captions, prefix 10 + 40 tokens
//   captioner-decode       5 beams, prefix 10, 20 tokens, key-value cache, 1 and 64 images
//   sampling               the generator of `gmail demo`: 50 steps with guidance, 1, 16 and 64 images
// and always, for what the device can do at most:
//   copy                   1 GiB from device to device
//   matmul                 8192^3, x w^T in the run's precision
#pragma once

#include <filesystem>

#include "cli/bench_timing.h"
#include "cli/demo_recipe.h"
#include "cli/program.h"

namespace gmail::cli {

struct GpuWorkload : Workload {         // step() may return before the device has done it
  double bytes = 0;                     // read and written, of a copy
  double skipped = 0;                   // FLOP that another way to do the same would need
  std::string note = {};                // what the count leaves out, or why there is no graph
  std::function<void()> recorded = {};  // the same step as a CUDA graph; empty where the host takes part
};

struct GpuSizes {
  ClipConfig b32, b16, l14;
  int64_t pairs = 256, captions = 40, caption_tokens = 40, decoded_tokens = 20, lora_rank = 4;
  std::vector<int64_t> encoded{1, 256}, decoded{1, 64}, sampled{1, 16, 64};
  ClipCapConfig captioner;
  DemoRecipe recipe;  // its text tower, U-Net and guidance
  int64_t copied = int64_t{1} << 30, matmul = 8192;
};
[[nodiscard]] GpuSizes gpu_sizes();
[[nodiscard]] GpuSizes tiny_gpu_sizes();  // a test on the emulator ends in seconds
void set_batch(GpuSizes& sizes, int64_t batch);

struct GpuBench {
  const Context& ctx;
  GpuSizes sizes;
  uint64_t seed;
};

[[nodiscard]] const std::vector<std::string>& gpu_workload_names();
// The parts of one of the names, or of "copy" or "matmul", set up one at a time (see MakeWorkload).
using MakeGpuWorkload = std::function<GpuWorkload()>;
[[nodiscard]] std::vector<MakeGpuWorkload> make_gpu_workloads(const std::string& name, const GpuBench& bench);

// by bench_gpu_training.cpp
[[nodiscard]] GpuWorkload align_step(const GpuBench& bench, const std::string& name);
[[nodiscard]] GpuWorkload captioner_step(const GpuBench& bench);
// The start of an align-* workload for scripts/compare_pytorch.py: weights by their Hugging Face names, the
// images "bench.x_r" and "bench.x_g", their first embeddings "bench.z_r" and "bench.z_g", and the first
// `steps` losses "bench.losses"; the model's configuration and the optimiser's settings as metadata.
void write_align_state(const GpuBench& bench, const std::string& name, const std::filesystem::path& file,
                       int64_t steps);
[[nodiscard]] const ClipConfig& config_of(const GpuSizes& sizes, const std::string& name);  // "align-b16"
// by bench_gpu_models.cpp
[[nodiscard]] GpuWorkload gpu_encode(const GpuBench& bench, const std::string& name, int64_t images);
[[nodiscard]] GpuWorkload gpu_decode(const GpuBench& bench, int64_t images);
[[nodiscard]] GpuWorkload gpu_sampling(const GpuBench& bench, int64_t images);
[[nodiscard]] GpuWorkload gpu_copy(const GpuBench& bench);
[[nodiscard]] GpuWorkload gpu_matmul(const GpuBench& bench);

void add_bench_gpu(Program& program, CLI::App& group);

}  // namespace gmail::cli
