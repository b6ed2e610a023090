// Embeddings on disk: a safetensors file with image_embeds (N, E), text_embeds (M, E), both float32, and
// text_image (M), the image row of each text. Any of them may be absent.
#pragma once

#include <filesystem>
#include <functional>

#include "io/safetensors.h"

namespace gmail::cli {

struct Embeddings {
  Tensor images, texts, text_image;
};

// Atomic.
void save_embeddings(const std::filesystem::path& file, const Embeddings& embeddings);

// A tensor of floats (rows, width) with at least one row, as float32. InputError names file, tensor,
// expected, found.
[[nodiscard]] Tensor read_embeddings(const SafetensorsFile& file, const std::string& name);
// text_image (texts), int32 or int64, each a row of `images`.
[[nodiscard]] Tensor read_text_image(const SafetensorsFile& file, int64_t texts, int64_t images);

// Runs f; what it says about bad embeddings gets the file's name in front.
void about_file(const std::filesystem::path& file, const std::function<void()>& f);

}  // namespace gmail::cli
