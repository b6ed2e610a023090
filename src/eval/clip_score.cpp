#include "eval/clip_score.h"

#include <algorithm>
#include <cmath>

#include "core/check.h"

namespace gmail {
namespace {

constexpr double kWeight = 2.5;

double cosine(const Tensor& x, int64_t i, const Tensor& y, int64_t j) {
  const int64_t n = x.size(1);
  const float *a = x.data<float>() + i * n, *b = y.data<float>() + j * n;
  double ab = 0, aa = 0, bb = 0;
  for (int64_t k = 0; k < n; ++k) {
    ab += static_cast<double>(a[k]) * b[k];
    aa += static_cast<double>(a[k]) * a[k];
    bb += static_cast<double>(b[k]) * b[k];
  }
  GMAIL_INPUT(aa > 0 && bb > 0, "[clip_scores] an embedding has length 0");
  return ab / std::sqrt(aa * bb);
}

void add(CaptionScore& score, double value, int64_t n) {
  score.each.push_back(value);
  score.mean += value / static_cast<double>(n);
}

}  // namespace

ClipScores clip_scores(const Tensor& captions, const Tensor& images, const Tensor& references,
                       const Tensor& reference_image) {
  const int64_t n = captions.size(0), m = references.size(0);
  GMAIL_CHECK(n > 0 && captions.shape() == images.shape() && references.size(1) == captions.size(1) &&
                  reference_image.numel() == m,
              "[clip_scores] sizes do not match: captions ", captions.shape(), ", images ", images.shape(),
              ", references ", references.shape(), " of ", reference_image.numel(), " images");
  std::vector<double> best(static_cast<size_t>(n), 0.0);
  for (int64_t r = 0; r < m; ++r) {
    const int64_t i = reference_image.data<int32_t>()[r];
    GMAIL_CHECK(i >= 0 && i < n, "[clip_scores] reference ", r, " is of image ", i, ", there are ", n);
    double& b = best[static_cast<size_t>(i)];
    b = std::max(b, cosine(captions, i, references, r));
  }
  ClipScores out;
  for (int64_t i = 0; i < n; ++i) {
    const double score = kWeight * std::max(cosine(captions, i, images, i), 0.0),
                 reference = best[static_cast<size_t>(i)];
    add(out.clip, score, n);
    add(out.reference, score + reference > 0 ? 2 * score * reference / (score + reference) : 0.0, n);
  }
  return out;
}

}  // namespace gmail
