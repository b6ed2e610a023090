// Embeddings of whole image sets, each image's computed once: f_r(x_r), f_r(x_g), f_g(x_g). With a cache
// folder they are kept there, one file for each encoder and set of records,
//   <cache>/<f_r | f_g>-<hash of the records' ids and paths>.safetensors
//     image_embeds (N, E) float32, usable (N) int32; metadata "encoder": a fingerprint of every parameter
//     and setting, of the preprocessing and of the precision, "images": one of the images' sizes and times
//     of change
// which `gmail caption run --embeddings` reads as well.
#pragma once

#include "gmail/clip_flow.h"

namespace gmail {

struct ImageFeatures {
  Tensor z;                  // (N, E) before normalisation, a row a record; zeros for a damaged image
  std::vector<char> usable;  // (N)
  std::string damage;        // what is said of damaged images, or ""
};

struct FeatureOptions {
  std::filesystem::path cache = {};  // a folder; empty: none
  int64_t max_damaged = 10;
};

// At most 1024 images are in memory at a time. An encoder without `encode` embeds nothing: the images are
// only read, and z stays empty. InputError: too many damaged images, none that can be read, or a file in
// the cache that is stale: of another encoder, or of images that have changed.
[[nodiscard]] ImageFeatures image_features(const Context& ctx, const ImageEncoder& encoder,
                                           const Manifest& manifest, const Preprocess& preprocess,
                                           const FeatureOptions& options = {});

}  // namespace gmail
