// A CLIP model as a folder in Hugging Face's form: config.json, model.safetensors, vocab.json, merges.txt,
// preprocessor_config.json.
#pragma once

#include <filesystem>

#include "data/preprocess.h"
#include "data/tokenizer.h"
#include "io/safetensors.h"
#include "models/clip.h"

namespace gmail {

struct ClipModel {
  Clip clip;
  Tokenizer tokenizer;
  Preprocess preprocess;  // gives images of clip.config.image_size

  // Loads and freezes. Errors name the file and the field.
  [[nodiscard]] static ClipModel load(const std::filesystem::path& folder, Device device = Device::cpu);
  void save(const std::filesystem::path& folder, StoreAs store = StoreAs::as_is);
  // captions -> the text tower's input, cut to its context and trimmed to the longest
  [[nodiscard]] TextInput tokens(std::span<const std::string> captions) const;
};

}  // namespace gmail
