// The names and sizes of what `gmail bench gpu` times.
#include "cli/bench_gpu.h"
#include "cli/bench_workloads.h"

namespace gmail::cli {

namespace {

ClipConfig tiny_tower(int64_t width, int64_t layers, int64_t patch) {
  ClipConfig c;
  c.projection_dim = 12;
  c.vision = {width, 2 * width, layers, 2, Activation::quick_gelu, 1e-5};
  c.text = c.vision;
  c.image_size = 16;
  c.patch_size = patch;
  c.vocab_size = 30;
  c.max_position_embeddings = 8;
  return c;
}

std::vector<MakeGpuWorkload> for_each(const std::vector<int64_t>& batches,
                                      const std::function<GpuWorkload(int64_t)>& make) {
  std::vector<MakeGpuWorkload> all;
  for (const int64_t batch : batches) all.emplace_back([=] { return make(batch); });
  return all;
}

}  // namespace

GpuSizes gpu_sizes() {
  GpuSizes s;
  s.b32 = vit_b32();
  s.b16 = vit_b32();
  s.b16.patch_size = 16;
  s.l14 = s.b16;
  s.l14.patch_size = 14;
  s.l14.projection_dim = 768;
  s.l14.vision = {1024, 4096, 24, 16, Activation::quick_gelu, 1e-5};
  s.l14.text = {768, 3072, 12, 12, Activation::quick_gelu, 1e-5};
  s.captioner = {.clip_dim = 512, .end_id = 50256, .gpt = gpt2_small()};
  s.recipe = full_recipe();
  s.recipe.sample.steps = 50;
  return s;
}

GpuSizes tiny_gpu_sizes() {
  GpuSizes s;
  s.b32 = tiny_tower(16, 2, 8);
  s.b16 = tiny_tower(16, 2, 4);
  s.l14 = tiny_tower(24, 3, 4);
  s.pairs = 3;
  s.captions = 2;
  s.caption_tokens = s.decoded_tokens = 4;
  s.encoded = s.decoded = s.sampled = {1, 2};
  s.captioner = {.clip_dim = 12,
                 .prefix_length = 2,
                 .end_id = 29,
                 .gpt = {.vocab_size = 30, .n_positions = 16, .n_embd = 16, .n_layer = 2, .n_head = 2}};
  s.recipe = quick_recipe();
  s.recipe.clip.text = {16, 32, 1, 2, Activation::quick_gelu, 1e-5};
  s.recipe.clip.vision = s.recipe.clip.text;
  s.recipe.clip.projection_dim = 16;
  s.recipe.unet.sample_size = 8;
  s.recipe.unet.cross_attention_dim = s.recipe.unet.pooled_dim = 16;
  s.recipe.unet.block_out_channels = {8, 8, 8};
  s.recipe.unet.norm_num_groups = 4;
  s.recipe.sample.steps = 2;
  s.copied = 1 << 16;
  s.matmul = 40;
  return s;
}

void set_batch(GpuSizes& s, int64_t batch) {
  s.pairs = s.captions = batch;
  s.encoded = s.decoded = s.sampled = {batch};
}

const ClipConfig& config_of(const GpuSizes& s, const std::string& name) {
  if (name.ends_with("-b32")) return s.b32;
  if (name.ends_with("-b16")) return s.b16;
  GMAIL_CHECK(name.ends_with("-l14"), "[bench] no tower of ", name);
  return s.l14;
}

const std::vector<std::string>& gpu_workload_names() {
  static const std::vector<std::string> names{"align-b32",      "align-b16",        "align-l14",
                                              "encode-b32",     "encode-b16",       "encode-l14",
                                              "captioner-step", "captioner-decode", "sampling"};
  return names;
}

std::vector<MakeGpuWorkload> make_gpu_workloads(const std::string& name, const GpuBench& b) {
  if (name.starts_with("align-")) return {[&b, name] { return align_step(b, name); }};
  if (name.starts_with("encode-"))
    return for_each(b.sizes.encoded, [&b, name](int64_t n) { return gpu_encode(b, name, n); });
  if (name == "captioner-step") return {[&b] { return captioner_step(b); }};
  if (name == "captioner-decode")
    return for_each(b.sizes.decoded, [&b](int64_t n) { return gpu_decode(b, n); });
  if (name == "sampling") return for_each(b.sizes.sampled, [&b](int64_t n) { return gpu_sampling(b, n); });
  if (name == "copy") return {[&b] { return gpu_copy(b); }};
  GMAIL_CHECK(name == "matmul", "[bench] unknown workload ", name);
  return {[&b] { return gpu_matmul(b); }};
}

}  // namespace gmail::cli
