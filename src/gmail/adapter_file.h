// LoRA adapters of a CLIP in the form of peft (huggingface/peft): a folder with adapter_config.json and
// adapter_model.safetensors, whose tensors are called
//   base_model.model.PATH.lora_A.weight (r, in)   base_model.model.PATH.lora_B.weight (out, r)
// with PATH as in Hugging Face's CLIPModel: vision_model.encoder.layers.0.self_attn.q_proj. The tensors say
// which layers are updated, and with which rank; target_modules, rank_pattern and layers_to_transform follow
// from them. The update is scaled by alpha / r, or alpha / sqrt(r) with use_rslora, where alpha is lora_alpha
// or that of the first pattern in alpha_pattern that matches PATH (name_pattern.h).
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "io/safetensors.h"
#include "nn/linear.h"

namespace gmail {

struct AdapterFile {
  struct Update {
    std::string path;  // of the linear layer
    Tensor a, b;       // (r, in), (out, r) float32
    double scale = 1;
  };
  std::filesystem::path folder;
  std::string base_model;            // base_model_name_or_path
  std::vector<Update> updates;       // sorted by path; at least one
  std::vector<NamedTensor> weights;  // modules_to_save: "visual_projection.weight", "text_projection.weight"

  // InputError naming file and field for what is no LoRA of linear layers or needs more than a LoRA: another
  // peft_type, bias, use_dora, fan_in_fan_out, other modules_to_save, starts that change the base weights.
  [[nodiscard]] static AdapterFile read(const std::filesystem::path& folder);

  // Gives the layers their updates and weights, in tensors of their own. Updates that fit no layer, by name
  // or by shape, are named in one InputError, and then no layer is changed.
  void attach(const std::vector<Linear*>& layers) const;
};

// Writes the updates of `layers` (those without one are left out) so that peft finds these layers and no
// others: target_modules are whole paths, for a bare "q_proj" would also be the text tower's.
void write_adapter(const std::filesystem::path& folder, const std::vector<Linear*>& layers,
                   const std::string& base_model);

}  // namespace gmail
