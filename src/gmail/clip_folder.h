// Where a CLIP model's parts stand in somebody's folder, and what they are, without its weights.
//
//   config.json                 Hugging Face's form; beside it model.safetensors (or shards) of either naming
//   open_clip_config.json       open_clip's; beside it open_clip_model.safetensors or model.safetensors
//   neither                     the sizes are read off tensors of OpenAI's names; the activation must be said
//
// The length of the text's context is that of the tensor: a configuration that states another is an error,
// one that states none (Long-CLIP's table of 248 rows under a default of 77) is not.
#pragma once

#include <filesystem>
#include <memory>

#include "data/preprocess.h"
#include "models/clip_forms.h"

namespace gmail {

// What the user says of a model beyond its files.
struct ClipSaid {
  std::optional<Activation> hidden_act;  // where no file states it; InputError where one states another
  int64_t image_size = 0;                // the position table is interpolated for it; 0: as it is
};

struct ClipFolder {
  std::filesystem::path folder;
  std::filesystem::path config_file;  // empty: the sizes come from the shapes
  ClipForm form = ClipForm::hf;       // of the configuration
  ClipConfig config;
  Preprocess preprocess;                       // gives images of config.image_size
  std::shared_ptr<const TensorFiles> weights;  // without what is_clip_extra names

  // `path`: a folder, or the file of the weights in it. Opens the weights' file, reads no tensor.
  [[nodiscard]] static ClipFolder open(const std::filesystem::path& path, const ClipSaid& said = {});
  [[nodiscard]] Places places() const { return clip_places(has_openai_names(*weights)); }
  // The weights in the model's parameters (nn/param_places.h); InputError names all that is missing,
  // unexpected or of another shape, as it is called in the file.
  void load(Clip& clip) const;
};

}  // namespace gmail
