// An index that gmail retrieve searches: a folder with
//   embeddings.safetensors   image_embeds, text_embeds, text_image
//   manifest.jsonl           the records, row by row; paths are relative to the folder
//   index.json               the model and the adapter by which they were made, and a digest of the model's
//   weights
// index.json is written last and removed first, so a folder that has one is whole.
#pragma once

#include "cli/embeddings_file.h"
#include "cli/encoders.h"

namespace gmail::cli {

void save_index(const std::filesystem::path& folder, const Manifest& manifest, const Embeddings& embeddings,
                Encoders& encoders, const EncoderFlags& flags);

struct Index {
  EncoderFlags encoder;
  std::string digest;  // of the model's weights
  Manifest manifest;
  Tensor images;  // (N, E), a row for each record
};
[[nodiscard]] Index load_index(const std::filesystem::path& folder);
// InputError if the weights are not those that the index was made with.
void check_digest(const std::filesystem::path& folder, const Index& index, Encoders& encoders);

}  // namespace gmail::cli
