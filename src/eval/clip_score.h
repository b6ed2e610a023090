// CLIPScore (Hessel et al. 2021, arXiv:2104.08718, sec. 3): with the embeddings c of "A photo depicts
// CAPTION", v of the image and r of a reference, prefixed alike, w = 2.5:
//   (1)  CLIPScore    = w max(cos(c, v), 0)
//   (2)  RefCLIPScore = harmonic mean of (1) and max(max_r cos(c, r), 0)
// Published numbers are of CLIP ViT-B/32; those of another model compare with that model's only.
#pragma once

#include <string_view>

#include "core/tensor.h"
#include "eval/caption_metrics.h"

namespace gmail {

constexpr std::string_view kClipScorePrefix = "A photo depicts ";

struct ClipScores {
  CaptionScore clip, reference;  // (1), (2)
};

// captions and images (N, E), references (M, E), all float32, of any length; reference_image (M) int32: which
// image a reference belongs to. An image without references has RefCLIPScore 0.
[[nodiscard]] ClipScores clip_scores(const Tensor& captions, const Tensor& images, const Tensor& references,
                                     const Tensor& reference_image);

}  // namespace gmail
