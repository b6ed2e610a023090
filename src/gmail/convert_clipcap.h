// A captioner of ClipCap's own code (rmokady/CLIP_prefix_caption) as a folder that `gmail caption run` loads.
//
//   in    config.json         mapper, prefix_length, clip_dim, normalize_prefix, n_embd, n_layer, n_head,
//                             n_positions, vocab_size; perhaps clip_length, mapper_heads (8), end_id,
//                             released
//         model.safetensors   (or shards) the state dict under its own names: clip_project.*, and GPT-2 as
//                             gpt.transformer.* or gpt.*; gpt.lm_head.weight is the token table or absent
//         vocab.json, merges.txt   optional
//   out   config.json, model.safetensors, and the vocabulary if there is one
//
// clip_length and the mapper's blocks follow from the tensors. Such a captioner has learned no end token: its
// config says "released": true, and end_id is the vocabulary's end, or the last token, for searches that want
// one. The original's rule of decoding is chosen where captions are decoded, not here.
#pragma once

#include <filesystem>

#include "models/clipcap_config.h"

namespace gmail {

struct ClipCapReport {
  ClipCapConfig config;
  int64_t params = 0, mapper_params = 0;
  bool vocabulary = false;
};

// InputError names file and field, or all tensors that are missing, unexpected or of another shape; then
// nothing is written.
ClipCapReport convert_clipcap(const std::filesystem::path& in, const std::filesystem::path& out);

}  // namespace gmail
