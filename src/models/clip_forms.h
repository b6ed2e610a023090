// The forms in which CLIP's weights and sizes are found. This program's names are Hugging Face's.
//
//   hf         config.json, and Hugging Face's names
//   open_clip  open_clip_config.json, and OpenAI's names
//   openai     OpenAI's names; where nothing else tells the sizes, the tensors' shapes do
//
// OpenAI's names [openai/CLIP: clip/model.py] differ in more than spelling: q, k and v are the three row
// blocks of one in_proj tensor, and the two projections are stored transposed.
#pragma once

#include "models/clip.h"
#include "nn/param_places.h"

namespace gmail {

enum class ClipForm : uint8_t { hf, openai, open_clip };
[[nodiscard]] ClipForm clip_form_of(const std::string& word);  // "hf" | "openai" | "open_clip"

// Where the parameter of Hugging Face's name `name` stands among OpenAI's.
[[nodiscard]] Place openai_place(const std::string& name);
[[nodiscard]] bool has_openai_names(const TensorFiles& file);
// Where the parameters stand among OpenAI's names (or under their own).
[[nodiscard]] Places clip_places(bool openai_names);
// What stands in some files beside the parameters: position_ids of older versions of transformers, and the
// three numbers input_resolution, context_length, vocab_size of OpenAI's archives.
[[nodiscard]] bool is_clip_extra(const std::string& name);

// The "model_cfg" of open_clip_config.json, with open_clip's defaults for sizes that are missing; a missing
// "quick_gelu" means gelu, for so open_clip reads its own files. Whatever would change the architecture
// (another pooling, a timm or Hugging Face tower, ..) is an error that names `file` and the key; `context` as
// Absent's.
[[nodiscard]] ClipConfig open_clip_config(const nlohmann::json& json, const std::string& file,
                                          int64_t context);
// The other way; InputError for what open_clip has no key for: two activations, gelu_new, another eps, a text
// that ends where eos_token_id says (its rule is the largest id; eos_token_id == `end` is the same).
[[nodiscard]] nlohmann::json open_clip_json(const ClipConfig& config, int64_t end);

// The sizes of OpenAI's names, from their shapes. Heads are of 64, as in all models of OpenAI's; the
// activation is not in the shapes.
[[nodiscard]] ClipConfig config_from_shapes(const TensorFiles& file, Activation hidden_act);

}  // namespace gmail
