#include "eval/zero_shot.h"

#include <algorithm>
#include <cmath>

#include "eval/scores.h"

namespace gmail {
namespace {

std::span<const int32_t> class_ids(const Tensor& ids, int64_t rows, int64_t classes, std::string_view name) {
  GMAIL_INPUT(classes > 0, "[zero_shot] there are no classes");
  GMAIL_INPUT(ids.defined() && ids.dtype() == DType::int32 && ids.shape() == Shape{rows}, "[zero_shot] ",
              name, " must be int32 (", rows, "), got ", name_of(ids.dtype()), " ", ids.shape());
  const auto span = ids.span<int32_t>();
  for (size_t i = 0; i < span.size(); ++i)
    GMAIL_INPUT(span[i] >= 0 && span[i] < classes, "[zero_shot] ", name, "[", i, "] is ", span[i],
                ", expected a class 0 .. ", classes - 1);
  return span;
}

}  // namespace

Tensor class_weights(const Tensor& prompt_embeds, const Tensor& prompt_class, int64_t classes) {
  const UnitRows prompts(prompt_embeds, "[zero_shot] prompt_embeds");
  const auto class_of = class_ids(prompt_class, prompts.rows(), classes, "prompt_class");
  const auto width = static_cast<size_t>(prompts.width());
  // The factor 1/P of the mean falls out of eq. (1).
  std::vector<double> sum(static_cast<size_t>(classes) * width, 0.0);
  for (size_t p = 0; p < class_of.size(); ++p)
    for (size_t e = 0; e < width; ++e)
      sum[static_cast<size_t>(class_of[p]) * width + e] +=
          static_cast<double>(prompts.row(static_cast<int64_t>(p))[e]);

  Tensor weights = Tensor::empty({classes, prompts.width()});
  for (size_t c = 0; c < static_cast<size_t>(classes); ++c) {
    double square = 0;
    for (size_t e = 0; e < width; ++e) square += sum[c * width + e] * sum[c * width + e];
    GMAIL_INPUT(square > 0, "[zero_shot] class ", c, " has no prompt, or its prompts cancel out");
    for (size_t e = 0; e < width; ++e)
      weights.data<float>()[c * width + e] = static_cast<float>(sum[c * width + e] / std::sqrt(square));
  }
  return weights;
}

Tensor classify(const Tensor& image_embeds, const Tensor& weights) {
  const UnitRows images(image_embeds, "[zero_shot] image_embeds"), classes(weights, "[zero_shot] weights");
  Tensor predicted = Tensor::empty({images.rows()}, DType::int32);
  int32_t* out = predicted.data<int32_t>();
  for_each_score_row(images, classes, [&](int64_t i, std::span<const float> scores) {
    out[i] = static_cast<int32_t>(std::max_element(scores.begin(), scores.end()) - scores.begin());
  });
  return predicted;
}

Accuracy accuracy(const Tensor& predicted, const Tensor& labels, int64_t classes) {
  GMAIL_INPUT(predicted.rank() == 1 && predicted.numel() > 0, "[zero_shot] there are no predictions");
  const auto guess = class_ids(predicted, predicted.numel(), classes, "predicted");
  const auto truth = class_ids(labels, predicted.numel(), classes, "labels");
  std::vector<int64_t> total(static_cast<size_t>(classes), 0), right(total);
  for (size_t i = 0; i < truth.size(); ++i) {
    ++total[static_cast<size_t>(truth[i])];
    right[static_cast<size_t>(truth[i])] += guess[i] == truth[i] ? 1 : 0;
  }
  Accuracy a;
  a.images = predicted.numel();
  int64_t all_right = 0, seen = 0;
  for (size_t c = 0; c < total.size(); ++c) {
    all_right += right[c];
    a.per_class.push_back(total[c] ? 100.0 * static_cast<double>(right[c]) / static_cast<double>(total[c])
                                   : -1.0);
    if (total[c]) ++seen, a.mean_per_class += a.per_class[c];
  }
  a.top1 = 100.0 * static_cast<double>(all_right) / static_cast<double>(a.images);
  a.mean_per_class /= static_cast<double>(seen);
  return a;
}

double top_k(const Tensor& image_embeds, const Tensor& weights, const Tensor& labels, int64_t k) {
  GMAIL_CHECK(k > 0, "[zero_shot] the best ", k, " classes");
  const UnitRows images(image_embeds, "[zero_shot] image_embeds"), classes(weights, "[zero_shot] weights");
  const auto truth = class_ids(labels, images.rows(), classes.rows(), "labels");
  std::vector<uint8_t> right(truth.size());  // rows may come from several threads
  for_each_score_row(images, classes, [&](int64_t i, std::span<const float> scores) {
    const auto own = static_cast<size_t>(truth[static_cast<size_t>(i)]);
    int64_t better = 0;
    for (size_t c = 0; c < scores.size(); ++c)
      better += scores[c] > scores[own] || (scores[c] == scores[own] && c < own) ? 1 : 0;
    right[static_cast<size_t>(i)] = better < k ? 1 : 0;
  });
  const auto hits = std::count(right.begin(), right.end(), uint8_t{1});
  return 100.0 * static_cast<double>(hits) / static_cast<double>(right.size());
}

}  // namespace gmail
