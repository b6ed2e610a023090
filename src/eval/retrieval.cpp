#include "eval/retrieval.h"

#include <algorithm>
#include <numeric>

#include "eval/scores.h"

namespace gmail {
namespace {

constexpr int64_t kNoText = -1;

// How many rows stand before row `target` in the order (score descending, index ascending).
[[nodiscard]] int64_t rank_of(int64_t target, std::span<const float> scores) {
  const auto t = static_cast<size_t>(target);
  const float score = scores[t];
  int64_t before = 0;
  for (size_t g = 0; g < t; ++g) before += scores[g] >= score ? 1 : 0;
  for (size_t g = t + 1; g < scores.size(); ++g) before += scores[g] > score ? 1 : 0;
  return before;
}

// percent of the ranks that are below k; ranks of kNoText do not count
[[nodiscard]] double recall(const std::vector<int64_t>& ranks, int64_t k) {
  int64_t counted = 0, found = 0;
  for (const int64_t r : ranks) {
    counted += r != kNoText ? 1 : 0;
    found += r != kNoText && r < k ? 1 : 0;
  }
  return 100.0 * static_cast<double>(found) / static_cast<double>(counted);
}

// The texts of each image, in ascending order: those of image i are texts[first[i]] .. texts[first[i + 1] -
// 1].
struct TextsOfImage {
  std::vector<int64_t> first, texts;
};

TextsOfImage group(std::span<const int32_t> text_image, int64_t images) {
  TextsOfImage of;
  of.first.assign(static_cast<size_t>(images) + 1, 0);
  for (size_t t = 0; t < text_image.size(); ++t) {
    GMAIL_INPUT(text_image[t] >= 0 && text_image[t] < images, "[retrieval] text_image[", t, "] is ",
                text_image[t], ", expected an image row 0 .. ", images - 1);
    ++of.first[static_cast<size_t>(text_image[t]) + 1];
  }
  std::partial_sum(of.first.begin(), of.first.end(), of.first.begin());
  of.texts.resize(text_image.size());
  std::vector<int64_t> next(of.first.begin(), of.first.end() - 1);
  for (size_t t = 0; t < text_image.size(); ++t)
    of.texts[static_cast<size_t>(next[static_cast<size_t>(text_image[t])]++)] = static_cast<int64_t>(t);
  return of;
}

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
  const TextsOfImage of = group(image_of, images.rows());

  std::vector<int64_t> t2i(static_cast<size_t>(texts.rows())),
      i2t(static_cast<size_t>(images.rows()), kNoText);
  for_each_score_row(texts, images, [&](int64_t t, std::span<const float> scores) {
    t2i[static_cast<size_t>(t)] = rank_of(image_of[static_cast<size_t>(t)], scores);
  });
  for_each_score_row(images, texts, [&](int64_t image, std::span<const float> scores) {
    const auto i = static_cast<size_t>(image);
    if (of.first[i] == of.first[i + 1]) return;
    // At least one text is among the first K exactly when the best of them is.
    const auto own = std::span(of.texts).subspan(static_cast<size_t>(of.first[i]),
                                                 static_cast<size_t>(of.first[i + 1] - of.first[i]));
    const int64_t best = *std::max_element(own.begin(), own.end(), [&](int64_t a, int64_t b) {
      return scores[static_cast<size_t>(a)] < scores[static_cast<size_t>(b)];
    });  // the first of equal ones
    i2t[i] = rank_of(best, scores);
  });

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
