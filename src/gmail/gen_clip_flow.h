// The two image encoders of GMAIL (arXiv:2602.15368, sec. 3.1 and 3.2).
//
//   f_r   the pretrained CLIP image tower with its projection, frozen: it sees real images
//   f_g   the same frozen tower + LoRA (rank 4 on q, k, v, out of every block) + a projection of its own,
//         "Proj for Gen": it sees generated images (the Gen-CLIP flow)
// With RealEncoder::lora, the paper's other reading (end of sec. 3.2), real images go through the shared
// LoRA trunk and a second trained projection, "Proj for Real"; otherwise "Proj for Real" is f_r's own
// projection.
#pragma once

#include <filesystem>
#include <optional>

#include "gmail/adapter_file.h"
#include "models/clip.h"

namespace gmail {

enum class RealEncoder : uint8_t { frozen, lora };

struct GenClipConfig {
  int64_t lora_rank = 4;
  double lora_alpha = 4;
  std::vector<std::string> lora_targets{"q_proj", "k_proj", "v_proj", "out_proj"};
  RealEncoder real_encoder = RealEncoder::frozen;
};

struct GenClip {
  GenClipConfig config;
  ImageTower f_g;                         // visual_projection is "Proj for Gen"
  std::optional<Linear> projection_real;  // "Proj for Real", only with RealEncoder::lora

  // f_g = f_r exactly (B = 0, projections copied) or with a new random projection. f_r must be frozen: f_g
  // shares it.
  [[nodiscard]] static GenClip start(const ImageTower& f_r, const GenClipConfig& config, bool new_projection,
                                     uint64_t seed);
  // The same, but layers, ranks, scales and LoRA matrices are the adapter's; it may update the blocks of the
  // image tower alone.
  [[nodiscard]] static GenClip start(const ImageTower& f_r, const GenClipConfig& config, bool new_projection,
                                     uint64_t seed, const AdapterFile& init);
  [[nodiscard]] ParamList trainable();
  [[nodiscard]] Var encode_generated(Tape& tape, const Var& x_g);  // f_g(x_g)  (B, E)
  [[nodiscard]] Var encode_real(Tape& tape, ImageTower& f_r,
                                const Var& x_r);  // f_r(x_r), or the lora reading (B, E)

  // A PEFT folder (adapter_file.h), which peft loads on transformers' CLIPModel, and beside it
  // projections.safetensors with "projection_generated.weight" and, if trained, "projection_real.weight"
  // (E, W). base_model: folder or name of the CLIP it belongs to.
  void save(const std::filesystem::path& folder, const std::string& base_model);
  // Of that, or of any other LoRA that peft saved for this CLIP. Without projections.safetensors the folder
  // is no alignment but a fine-tuned CLIP: f_g's projection is the CLIP's (or the adapter's), and real images
  // go through f_g as well. Updates of the text tower and of text_projection are merged into clip.text.
  [[nodiscard]] static GenClip load(const std::filesystem::path& folder, Clip& clip);
  void merge();  // LoRA into the weights, for inference
};

// Attaches LoRA to the linears of `each` whose path ends in one of `targets`. Returns how many; none is an
// error.
int64_t add_lora(const std::function<void(const std::function<void(Linear&)>&)>& each,
                 const std::vector<std::string>& targets, int64_t rank, double alpha, uint64_t seed);

}  // namespace gmail
