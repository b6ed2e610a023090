#include "eval/caption_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <map>
#include <set>
#include <span>

#include "core/check.h"

namespace gmail {
namespace {

constexpr size_t kOrders = 4;
using NGram = std::span<const std::string>;

struct Less {
  bool operator()(NGram a, NGram b) const {
    return std::lexicographical_compare(a.begin(), a.end(), b.begin(), b.end());
  }
};
// The n-grams of one order with their counts; they refer to the words they were made from, which must outlive
// them.
using Counts = std::map<NGram, int64_t, Less>;

[[nodiscard]] Counts count_ngrams(const Words& words, size_t n) {
  Counts counts;
  for (size_t i = 0; i + n <= words.size(); ++i) ++counts[NGram(words).subspan(i, n)];
  return counts;
}

void check(const std::vector<CaptionedImage>& images) {
  GMAIL_INPUT(!images.empty(), "[caption_metrics] there are no captions");
  for (size_t i = 0; i < images.size(); ++i)
    GMAIL_INPUT(!images[i].references.empty(), "[caption_metrics] image ", i, " has no reference caption");
}

[[nodiscard]] CaptionScore with_mean(std::vector<double> each) {
  double sum = 0;
  for (const double s : each) sum += s;
  const double mean = sum / static_cast<double>(each.size());
  return {mean, std::move(each)};
}

[[nodiscard]] int64_t closest_length(const CaptionedImage& image) {
  const auto length = static_cast<int64_t>(image.hypothesis.size());
  int64_t best = static_cast<int64_t>(image.references.front().size());
  for (const Words& r : image.references) {
    const auto other = static_cast<int64_t>(r.size());
    const int64_t distance = std::abs(other - length), best_distance = std::abs(best - length);
    if (distance < best_distance || (distance == best_distance && other < best)) best = other;
  }
  return best;
}

// length of the longest common subsequence
[[nodiscard]] int64_t common_length(const Words& a, const Words& b) {
  std::vector<int64_t> row(b.size() + 1, 0);
  for (const std::string& word : a) {
    int64_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

using DocumentCounts = std::array<std::map<NGram, int64_t, Less>, kOrders>;

// in how many images an n-gram stands in at least one reference
[[nodiscard]] DocumentCounts document_counts(const std::vector<CaptionedImage>& images) {
  DocumentCounts df;
  for (const CaptionedImage& image : images)
    for (size_t n = 1; n <= kOrders; ++n) {
      std::set<NGram, Less> seen;
      for (const Words& r : image.references)
        for (size_t i = 0; i + n <= r.size(); ++i) seen.insert(NGram(r).subspan(i, n));
      for (const NGram g : seen) ++df[n - 1][g];
    }
  return df;
}

struct Vector {  // eq. (3) for one order
  std::map<NGram, double, Less> value;
  double norm = 0;
};

[[nodiscard]] Vector weigh(const Words& words, size_t n, const DocumentCounts& df, double log_images) {
  Vector v;
  double square = 0;
  for (const auto& [g, count] : count_ngrams(words, n)) {
    const auto found = df[n - 1].find(g);
    const double documents = found == df[n - 1].end() ? 1.0 : static_cast<double>(found->second);
    const double x = static_cast<double>(count) * (log_images - std::log(documents));
    v.value[g] = x;
    square += x * x;
  }
  v.norm = std::sqrt(square);
  return v;
}

[[nodiscard]] double similarity(const Vector& h, const Vector& r, bool clip) {
  double sum = 0;
  for (const auto& [g, x] : h.value) {
    const auto found = r.value.find(g);
    if (found == r.value.end()) continue;
    sum += (clip ? std::min(x, found->second) : x) * found->second;
  }
  return h.norm > 0 && r.norm > 0 ? sum / (h.norm * r.norm) : 0.0;
}

[[nodiscard]] double bigrams(const Words& words) {
  return words.empty() ? 0.0 : static_cast<double>(words.size() - 1);
}

// eq. (5) if `d`, else eq. (4)
[[nodiscard]] CaptionScore cider_score(const std::vector<CaptionedImage>& images, bool d) {
  check(images);
  constexpr double kSigma = 6;
  const DocumentCounts df = document_counts(images);
  const double log_images = std::log(static_cast<double>(images.size()));
  std::vector<double> each;
  for (const CaptionedImage& image : images) {
    double sum = 0;
    for (size_t n = 1; n <= kOrders; ++n) {
      const Vector h = weigh(image.hypothesis, n, df, log_images);
      for (const Words& reference : image.references) {
        const double delta = bigrams(image.hypothesis) - bigrams(reference);
        const double penalty = d ? std::exp(-delta * delta / (2 * kSigma * kSigma)) : 1.0;
        sum += similarity(h, weigh(reference, n, df, log_images), d) * penalty;
      }
    }
    each.push_back(10.0 * sum / static_cast<double>(kOrders * image.references.size()));
  }
  return with_mean(std::move(each));
}

}  // namespace

Bleu bleu(const std::vector<CaptionedImage>& images) {
  check(images);
  Bleu b;
  for (const CaptionedImage& image : images) {
    b.hypothesis_length += static_cast<int64_t>(image.hypothesis.size());
    b.reference_length += closest_length(image);
    for (size_t n = 1; n <= kOrders; ++n) {
      Counts most;  // over the references
      for (const Words& r : image.references)
        for (const auto& [g, count] : count_ngrams(r, n)) most[g] = std::max(most[g], count);
      for (const auto& [g, count] : count_ngrams(image.hypothesis, n)) {
        const auto found = most.find(g);
        if (found != most.end()) b.correct[n - 1] += std::min(count, found->second);
        b.guess[n - 1] += count;
      }
    }
  }
  const double ratio =
      (static_cast<double>(b.hypothesis_length) + 1e-15) / (static_cast<double>(b.reference_length) + 1e-9);
  const double brevity = ratio < 1 ? std::exp(1 - 1 / ratio) : 1.0;
  double product = 1;
  for (size_t k = 0; k < kOrders; ++k) {
    product *= (static_cast<double>(b.correct[k]) + 1e-15) / (static_cast<double>(b.guess[k]) + 1e-9);
    b.score[k] = std::pow(product, 1.0 / static_cast<double>(k + 1)) * brevity;
  }
  return b;
}

CaptionScore rouge_l(const std::vector<CaptionedImage>& images) {
  check(images);
  constexpr double kBeta2 = 1.2 * 1.2;
  std::vector<double> each;
  for (const CaptionedImage& image : images) {
    double precision = 0, recall = 0;
    for (const Words& r : image.references) {
      if (r.empty() || image.hypothesis.empty()) continue;
      const auto common = static_cast<double>(common_length(image.hypothesis, r));
      precision = std::max(precision, common / static_cast<double>(image.hypothesis.size()));
      recall = std::max(recall, common / static_cast<double>(r.size()));
    }
    const bool any = precision > 0 && recall > 0;
    each.push_back(any ? (1 + kBeta2) * precision * recall / (recall + kBeta2 * precision) : 0.0);
  }
  return with_mean(std::move(each));
}

CaptionScore cider(const std::vector<CaptionedImage>& images) { return cider_score(images, false); }
CaptionScore cider_d(const std::vector<CaptionedImage>& images) { return cider_score(images, true); }

Words caption_words(std::string_view text) {
  constexpr std::string_view kSpace = " \t\n\r\f\v";
  Words words;
  for (size_t begin = text.find_first_not_of(kSpace); begin != std::string_view::npos;) {
    const size_t end = std::min(text.find_first_of(kSpace, begin), text.size());
    words.emplace_back(text.substr(begin, end - begin));
    begin = text.find_first_not_of(kSpace, end);
  }
  return words;
}

}  // namespace gmail
