// A CLIP model from one form of folder to another: clip_forms.h.
//
//   hf         config.json, model.safetensors, preprocessor_config.json
//   openai     the same files, the tensors under OpenAI's names
//   open_clip  open_clip_config.json, open_clip_model.safetensors, preprocessor_config.json
//
// Tokenizer files, a licence and a README go along. There and back again gives the same bytes of weights, but
// for what was no parameter (position_ids).
#pragma once

#include "gmail/clip_folder.h"

namespace gmail {

struct ConvertOptions {
  std::filesystem::path in, out;  // folders; `in` may be the file of the weights
  ClipForm form = ClipForm::hf;
  std::string store = "";  // "F32", "F16", "BF16"; "": every tensor as it is stored in `in`
  ClipSaid said = {};
};

struct ConvertReport {
  ClipConfig config;
  int64_t tensors = 0, params = 0;
  std::filesystem::path weights;
};

ConvertReport convert_clip(const ConvertOptions& options);

}  // namespace gmail
