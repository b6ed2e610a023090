#include "eval/retrieval.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <limits>
#include <numeric>

#include "eval/scores.h"

namespace gmail {
namespace {

constexpr int64_t kNoText = -1;

// percent of the ranks that are below k; ranks of kNoText do not count
[[nodiscard]] double recall(const std::vector<int64_t>& ranks, int64_t k) {
  int64_t counted = 0, found = 0;
  for (const int64_t r : ranks) {
    counted += r != kNoText ? 1 : 0;
    found += r != kNoText && r < k ? 1 : 0;
  }
  return 100.0 * static_cast<double>(found) / static_cast<double>(counted);
}

// Ranks by counting: how many rows stand before one's own in the order (score descending, index ascending).
class Ranks {
 public:
  Ranks(const UnitRows& images, const UnitRows& texts, std::span<const int32_t> image_of)
      : t2i(static_cast<size_t>(texts.rows()), 0),
        i2t(static_cast<size_t>(images.rows()), 0),
        image_of_(image_of),
        own_(paired_scores(texts, images, image_of)),
        best_(static_cast<size_t>(images.rows()), kNoText) {
    // At least one text of an image is among the first K exactly when the best of them is: of equal ones the
    // first.
    for (size_t t = 0; t < image_of.size(); ++t) {
      int64_t& best = best_[static_cast<size_t>(image_of[t])];
      if (best == kNoText || own_[t] > own_[static_cast<size_t>(best)]) best = static_cast<int64_t>(t);
    }
    for_each_score_block(texts, images, [&](const ScoreBlock& block) { count(block); });
    for (size_t i = 0; i < best_.size(); ++i)
      if (best_[i] == kNoText) i2t[i] = kNoText;
  }

  std::vector<int64_t> t2i, i2t;  // i2t is kNoText for an image without one

 private:
  void count(const ScoreBlock& block) {
    const auto n = static_cast<size_t>(block.columns);
    std::vector<float> limit(n);  // what a text's score must exceed to stand before the image's best text
    std::vector<int32_t> before(n, 0);
    for (size_t c = 0; c < n; ++c) limit[c] = limit_of(block.gallery + static_cast<int64_t>(c), block.query);
    for (int64_t r = 0; r < block.rows; ++r) {
      const int64_t text = block.query + r;
      const auto t = static_cast<size_t>(text);
      const int64_t own = image_of_[t] - block.gallery;
      const bool here = own >= 0 && own < block.columns;
      if (here) limit[static_cast<size_t>(own)] = limit_of(image_of_[t], text);
      const float* const scores = block.row(r);
      const auto middle = static_cast<size_t>(std::clamp<int64_t>(own, 0, block.columns));
      t2i[t] += before_text(scores, own_[t], middle, here ? middle + 1 : middle, n);
      for (size_t c = 0; c < n; ++c) before[c] += scores[c] > limit[c] ? 1 : 0;
    }
    for (size_t c = 0; c < n; ++c) std::atomic_ref(i2t[static_cast<size_t>(block.gallery) + c]) += before[c];
  }

  // Texts before the best one also win with an equal score; itself and those behind it must exceed it.
  [[nodiscard]] float limit_of(int64_t image, int64_t text) const {
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    const int64_t best = best_[static_cast<size_t>(image)];
    if (best == kNoText) return kInfinity;
    const float score = own_[static_cast<size_t>(best)];
    return text < best ? std::nextafter(score, -kInfinity) : score;
  }

  // Images [0, middle) win with an equal score, images [after, n) must exceed it.
  static int32_t before_text(const float* scores, float own, size_t middle, size_t after, size_t n) {
    int32_t before = 0;
    for (size_t c = 0; c < middle; ++c) before += scores[c] >= own ? 1 : 0;
    for (size_t c = after; c < n; ++c) before += scores[c] > own ? 1 : 0;
    return before;
  }

  std::span<const int32_t> image_of_;
  std::vector<float> own_;     // of each text and its image
  std::vector<int64_t> best_;  // text of each image
};

}  // namespace

Retrieval retrieval(const Tensor& image_embeds, const Tensor& text_embeds, const Tensor& text_image) {
  const UnitRows images(image_embeds, "[retrieval] image_embeds"),
      texts(text_embeds, "[retrieval] text_embeds");
  GMAIL_INPUT(images.width() == texts.width(), "[retrieval] image_embeds ", image_embeds.shape(),
              " and text_embeds ", text_embeds.shape(), " differ in width");
  GMAIL_INPUT(
      text_image.defined() && text_image.dtype() == DType::int32 && text_image.shape() == Shape{texts.rows()},
      "[retrieval] text_image must be int32 (", texts.rows(), "), one image row for each text, got ",
      name_of(text_image.dtype()), " ", text_image.shape());
  const auto image_of = text_image.span<int32_t>();
  for (size_t t = 0; t < image_of.size(); ++t)
    GMAIL_INPUT(image_of[t] >= 0 && image_of[t] < images.rows(), "[retrieval] text_image[", t, "] is ",
                image_of[t], ", expected an image row 0 .. ", images.rows() - 1);
  const Ranks ranks(images, texts, image_of);
  const std::vector<int64_t>&t2i = ranks.t2i, &i2t = ranks.i2t;

  Retrieval r;
  r.images = images.rows();
  r.texts = texts.rows();
  r.images_without_text = std::count(i2t.begin(), i2t.end(), kNoText);
  r.i2t_r1 = recall(i2t, 1), r.i2t_r5 = recall(i2t, 5), r.i2t_r10 = recall(i2t, 10);
  r.t2i_r1 = recall(t2i, 1), r.t2i_r5 = recall(t2i, 5), r.t2i_r10 = recall(t2i, 10);
  return r;
}

std::vector<std::vector<Ranked>> rank(const Tensor& queries, const Tensor& gallery, int64_t k) {
  GMAIL_CHECK(k > 0, "[rank] k must be positive, got ", k);
  const UnitRows q(queries, "[rank] queries"), g(gallery, "[rank] gallery");
  std::vector<std::vector<Ranked>> best(static_cast<size_t>(q.rows()));
  for_each_score_row(q, g, [&](int64_t i, std::span<const float> scores) {
    std::vector<int64_t> order(scores.size());
    std::iota(order.begin(), order.end(), int64_t{0});
    const auto middle = order.begin() + std::min<int64_t>(k, g.rows());
    std::partial_sort(order.begin(), middle, order.end(), [&](int64_t a, int64_t b) {
      const float sa = scores[static_cast<size_t>(a)], sb = scores[static_cast<size_t>(b)];
      return sa > sb || (sa == sb && a < b);
    });
    for (auto at = order.begin(); at != middle; ++at)
      best[static_cast<size_t>(i)].push_back({*at, scores[static_cast<size_t>(*at)]});
  });
  return best;
}

}  // namespace gmail
