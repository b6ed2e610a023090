// A CLIP model as a folder in Hugging Face's form: config.json, model.safetensors, vocab.json, merges.txt,
// preprocessor_config.json (image_mean, image_std).
#pragma once

#include <filesystem>

#include "data/augment.h"
#include "data/tokenizer.h"
#include "io/safetensors.h"
#include "models/clip.h"

namespace gmail {

struct ClipModel {
  Clip clip;
  Tokenizer tokenizer;
  Normalisation norm = kHalfNormalisation;

  // Loads and freezes. Errors name the file and the field.
  [[nodiscard]] static ClipModel load(const std::filesystem::path& folder, Device device = Device::cpu);
  void save(const std::filesystem::path& folder, StoreAs store = StoreAs::as_is);
  // captions -> the text tower's input, within its context and trimmed to the longest
  [[nodiscard]] TextInput tokens(std::span<const std::string> captions,
                                 TooLong too_long = TooLong::truncate) const;
};

}  // namespace gmail
