// Retrieval by cosine, as the field reports it (CLIP_benchmark, zeroshot_retrieval.py). With score(i, t) the
// cosine of image i and text t:
//   t2i R@K  percent of the texts whose image is among the K images of highest score
//   i2t R@K  percent of the images of which at least one text is among the K texts of highest score: 0 or 1
//   an
//            image, not the share of its texts that were found
// Equal scores: the lower index comes first. An image may have any number of texts; an image without a text
// stands in the gallery of t2i and does not count in i2t.
#pragma once

#include <vector>

#include "core/tensor.h"

namespace gmail {

struct Retrieval {
  double i2t_r1 = 0, i2t_r5 = 0, i2t_r10 = 0;  // percent
  double t2i_r1 = 0, t2i_r5 = 0, t2i_r10 = 0;  // percent
  int64_t images = 0, texts = 0;
  int64_t images_without_text = 0;
};

// image_embeds (N, E) and text_embeds (M, E) float32, of any length; text_image (M) int32: the image row of
// each text. Refused as bad input: other shapes or types, a row that is not finite or has length 0, a
// text_image outside 0 .. N-1.
[[nodiscard]] Retrieval retrieval(const Tensor& image_embeds, const Tensor& text_embeds,
                                  const Tensor& text_image);

struct Ranked {
  int64_t index;
  float score;
};

// The k best rows of gallery (N, E) for each row of queries (Q, E), best first; min(k, N) of them.
[[nodiscard]] std::vector<std::vector<Ranked>> rank(const Tensor& queries, const Tensor& gallery, int64_t k);

}  // namespace gmail
