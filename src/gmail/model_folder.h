// A CLIP model as a folder in Hugging Face's form: config.json, model.safetensors, vocab.json, merges.txt,
// preprocessor_config.json. Other forms are read as well: gmail/clip_folder.h.
#pragma once

#include <filesystem>

#include "data/preprocess.h"
#include "data/tokenizer.h"
#include "gmail/clip_folder.h"
#include "io/safetensors.h"
#include "models/clip.h"

namespace gmail {

struct ClipModel {
  Clip clip;
  Tokenizer tokenizer;
  Preprocess preprocess;  // gives images of clip.config.image_size

  // Loads and freezes. Errors name the file and the field.
  [[nodiscard]] static ClipModel load(const std::filesystem::path& folder, Device device = Device::cpu,
                                      const ClipSaid& said = {});
  // In Hugging Face's form; transformers loads it.
  void save(const std::filesystem::path& folder, StoreAs store = StoreAs::as_is);
  // captions -> the text tower's input, within its context and trimmed to the longest
  [[nodiscard]] TextInput tokens(std::span<const std::string> captions,
                                 TooLong too_long = TooLong::truncate) const;
};

// config.json as transformers reads it: `end` is what the texts end with, where the configuration leaves that
// open.
[[nodiscard]] nlohmann::json hf_config(const ClipConfig& config, int64_t end);

}  // namespace gmail
