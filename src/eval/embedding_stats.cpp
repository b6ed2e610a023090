#include "eval/embedding_stats.h"

#include <cmath>

#include "eval/scores.h"

namespace gmail {
namespace {

std::vector<double> centroid(const UnitRows& x) {
  std::vector<double> mean(static_cast<size_t>(x.width()), 0.0);
  for (int64_t i = 0; i < x.rows(); ++i)
    for (size_t e = 0; e < mean.size(); ++e) mean[e] += static_cast<double>(x.row(i)[e]);
  for (double& m : mean) m /= static_cast<double>(x.rows());
  return mean;
}

double gap(const UnitRows& x, const UnitRows& y) {
  GMAIL_INPUT(x.width() == y.width(), "[embedding_stats] embeddings of different width: ", x.width(), " and ",
              y.width());
  const std::vector<double> a = centroid(x), b = centroid(y);
  double square = 0;
  for (size_t e = 0; e < a.size(); ++e) square += (a[e] - b[e]) * (a[e] - b[e]);
  return std::sqrt(square);
}

double cosine(const float* a, const float* b, int64_t width) {
  double sum = 0;
  for (int64_t e = 0; e < width; ++e) sum += static_cast<double>(a[e]) * static_cast<double>(b[e]);
  return sum;
}

}  // namespace

PairStats pair_stats(const Tensor& x, const Tensor& y) {
  const UnitRows a(x, "[embedding_stats] x"), b(y, "[embedding_stats] y");
  GMAIL_INPUT(a.rows() == b.rows(), "[embedding_stats] pairs need as many rows on both sides, got ", a.rows(),
              " and ", b.rows());
  PairStats s;
  s.gap = gap(a, b);  // also refuses different widths
  const auto n = static_cast<double>(a.rows());
  std::vector<double> cosines;
  for (int64_t i = 0; i < a.rows(); ++i) cosines.push_back(cosine(a.row(i), b.row(i), a.width()));
  for (const double c : cosines) s.cosine += c / n;
  double variance = 0;
  for (const double c : cosines) variance += (c - s.cosine) * (c - s.cosine) / n;
  s.cosine_std = std::sqrt(variance);
  s.alignment = 2 - 2 * s.cosine;
  return s;
}

double modality_gap(const Tensor& x, const Tensor& y) {
  return gap(UnitRows(x, "[embedding_stats] x"), UnitRows(y, "[embedding_stats] y"));
}

double uniformity(const Tensor& x) {
  const UnitRows rows(x, "[embedding_stats] x");
  GMAIL_INPUT(rows.rows() >= 2, "[embedding_stats] uniformity needs at least two rows");
  std::vector<double> sums(static_cast<size_t>(rows.rows()), 0.0);  // of each row over the rows after it
  for_each_score_row(rows, rows, [&](int64_t i, std::span<const float> scores) {
    for (auto j = static_cast<size_t>(i) + 1; j < scores.size(); ++j)
      sums[static_cast<size_t>(i)] += std::exp(-2 * (2 - 2 * static_cast<double>(scores[j])));
  });
  double sum = 0;
  for (const double s : sums) sum += s;
  const auto n = static_cast<double>(rows.rows());
  return std::log(sum / (n * (n - 1) / 2));
}

}  // namespace gmail
