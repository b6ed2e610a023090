#include "eval/caption_metrics.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <span>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "core/check.h"

namespace gmail {
namespace {

constexpr size_t kOrders = 4;

using Ids = std::vector<int32_t>;

// Words as numbers: equal ones have the same.
class WordIds {
 public:
  [[nodiscard]] int32_t id(std::string_view word) {
    return ids_.emplace(word, static_cast<int32_t>(ids_.size())).first->second;
  }
  // as Python's split(" ") sees the caption
  [[nodiscard]] Ids ids(const Words& words) {
    Ids out;
    for (const std::string& w : words) out.push_back(id(w));
    return out;
  }
  // as Python's split() does, which takes a no-break space for a blank
  [[nodiscard]] Ids split_ids(const Words& words) {
    constexpr std::string_view kNoBreakSpace = "\u00A0";
    Ids out;
    for (const std::string& w : words)
      for (std::string_view rest = w; !rest.empty();) {
        const std::string_view part = rest.substr(0, rest.find(kNoBreakSpace));
        if (!part.empty()) out.push_back(id(part));
        rest.remove_prefix(std::min(rest.size(), part.size() + kNoBreakSpace.size()));
      }
    return out;
  }

 private:
  std::unordered_map<std::string_view, int32_t> ids_;  // views of the captions
};

struct Count {
  int32_t gram;
  int32_t count;
};

struct Sentence {
  int64_t length = 0;         // words
  std::vector<Count> counts;  // of the n-grams of one word, in the order of their numbers, then of two, ..
  std::array<size_t, kOrders + 1> begin{};

  [[nodiscard]] std::span<const Count> order(size_t k) const {
    return std::span(counts).subspan(begin[k], begin[k + 1] - begin[k]);
  }
};

// A pair of numbers -> its own number: 0, 1, .. in the order of arrival. Open addressing, at most half full.
class PairIds {
 public:
  [[nodiscard]] int32_t id(int32_t first, int32_t second) {
    if (2 * used_ >= slots_.size()) grow();
    Slot& slot = find(static_cast<uint64_t>(first) << 32U | static_cast<uint32_t>(second));
    if (slot.id < 0) slot.id = static_cast<int32_t>(used_++);
    return slot.id;
  }

 private:
  struct Slot {
    uint64_t key = 0;
    int32_t id = -1;  // -1: free
  };
  [[nodiscard]] Slot& find(uint64_t key) {
    const size_t mask = slots_.size() - 1;
    size_t at = (key * 0x9E3779B97F4A7C15U) >> 20U & mask;  // 2^64 / golden ratio
    while (slots_[at].id >= 0 && slots_[at].key != key) at = (at + 1) & mask;
    slots_[at].key = key;
    return slots_[at];
  }
  void grow() {
    const std::vector<Slot> old =
        std::exchange(slots_, std::vector<Slot>(std::max<size_t>(2 * slots_.size(), 1024)));
    for (const Slot& s : old)
      if (s.id >= 0) find(s.key).id = s.id;
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

// N-grams as numbers: that of n words is the pair of its first n - 1, a number too, and its last one.
class NGrams {
 public:
  [[nodiscard]] Sentence count(const Words& words) {
    Sentence s;
    const Ids ids = words_.split_ids(words);
    s.length = std::ssize(ids);
    s.counts.reserve(kOrders * ids.size());
    Ids grams = ids;
    for (size_t n = 1; n <= kOrders; ++n) {
      grams.resize(ids.size() + 1 - std::min(n, ids.size() + 1));
      for (size_t i = 0; n > 1 && i < grams.size(); ++i)
        grams[i] = longer_[n - 2].id(grams[i], ids[i + n - 1]);
      add_counts(grams, s.counts);
      s.begin[n] = s.counts.size();
    }
    return s;
  }

 private:
  static void add_counts(Ids grams, std::vector<Count>& counts) {
    std::sort(grams.begin(), grams.end());
    const size_t begin = counts.size();
    for (const int32_t g : grams) {
      if (counts.size() == begin || counts.back().gram != g) counts.push_back({g, 0});
      ++counts.back().count;
    }
  }

  WordIds words_;
  std::array<PairIds, kOrders - 1> longer_;
};

[[nodiscard]] int64_t count_of(std::span<const Count> counts, int32_t gram) {
  const auto at = std::lower_bound(counts.begin(), counts.end(), gram,
                                   [](const Count& c, int32_t g) { return c.gram < g; });
  return at != counts.end() && at->gram == gram ? at->count : 0;
}

struct Counted {
  Sentence hypothesis;
  std::vector<Sentence> references;
};

[[nodiscard]] std::vector<Counted> count_all(const std::vector<CaptionedImage>& images) {
  NGrams grams;
  std::vector<Counted> all;
  for (const CaptionedImage& image : images) {
    Counted c{grams.count(image.hypothesis), {}};
    for (const Words& r : image.references) c.references.push_back(grams.count(r));
    all.push_back(std::move(c));
  }
  return all;
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

[[nodiscard]] int64_t closest_length(const Counted& image) {
  const auto distance = [&](const Sentence& r) {
    return std::pair(std::abs(r.length - image.hypothesis.length), r.length);
  };
  return std::min_element(image.references.begin(), image.references.end(),
                          [&](const Sentence& a, const Sentence& b) { return distance(a) < distance(b); })
      ->length;
}

// The counts of eq. (1) for one image.
[[nodiscard]] Bleu count_matches(const Counted& image) {
  Bleu b;
  b.hypothesis_length = image.hypothesis.length;
  b.reference_length = closest_length(image);
  for (size_t k = 0; k < kOrders; ++k)
    for (const Count& h : image.hypothesis.order(k)) {
      int64_t most = 0;  // over the references
      for (const Sentence& r : image.references) most = std::max(most, count_of(r.order(k), h.gram));
      b.correct[k] += std::min<int64_t>(h.count, most);
      b.guess[k] += h.count;
    }
  return b;
}

void add(const Bleu& one, Bleu& all) {
  all.hypothesis_length += one.hypothesis_length;
  all.reference_length += one.reference_length;
  for (size_t k = 0; k < kOrders; ++k) {
    all.correct[k] += one.correct[k];
    all.guess[k] += one.guess[k];
  }
}

// eq. (1)
[[nodiscard]] std::array<double, 4> bleu_of(const Bleu& b) {
  const double ratio =
      (static_cast<double>(b.hypothesis_length) + 1e-15) / (static_cast<double>(b.reference_length) + 1e-9);
  const double brevity = ratio < 1 ? std::exp(1 - 1 / ratio) : 1.0;
  std::array<double, 4> score{};
  double product = 1;
  for (size_t k = 0; k < kOrders; ++k) {
    product *= (static_cast<double>(b.correct[k]) + 1e-15) / (static_cast<double>(b.guess[k]) + 1e-9);
    score[k] = std::pow(product, 1.0 / static_cast<double>(k + 1)) * brevity;
  }
  return score;
}

// length of the longest common subsequence
[[nodiscard]] int64_t common_length(const Ids& a, const Ids& b) {
  std::vector<int64_t> row(b.size() + 1, 0);
  for (const int32_t word : a) {
    int64_t diagonal = 0;
    for (size_t j = 0; j < b.size(); ++j) {
      const int64_t above = row[j + 1];
      row[j + 1] = word == b[j] ? diagonal + 1 : std::max(above, row[j]);
      diagonal = above;
    }
  }
  return row.back();
}

// By order and n-gram: ln N - ln max(1, df), where df images have the n-gram in a reference.
using Weights = std::array<std::vector<double>, kOrders>;

[[nodiscard]] Weights inverse_frequencies(const std::vector<Counted>& images) {
  const double log_images = std::log(static_cast<double>(images.size()));
  Weights weights;
  for (size_t k = 0; k < kOrders; ++k) {
    std::vector<int64_t> df, last;  // last: the image in which it was counted
    const auto grow = [&](const Sentence& s) {
      if (s.order(k).empty() || static_cast<size_t>(s.order(k).back().gram) < df.size()) return;
      df.resize(static_cast<size_t>(s.order(k).back().gram) + 1, 0);
      last.resize(df.size(), -1);
    };
    for (size_t i = 0; i < images.size(); ++i) {
      grow(images[i].hypothesis);
      for (const Sentence& r : images[i].references) {
        grow(r);
        for (const Count& c : r.order(k)) {
          const auto g = static_cast<size_t>(c.gram);
          if (std::exchange(last[g], static_cast<int64_t>(i)) != static_cast<int64_t>(i)) ++df[g];
        }
      }
    }
    for (const int64_t n : df)
      weights[k].push_back(log_images - std::log(static_cast<double>(std::max<int64_t>(1, n))));
  }
  return weights;
}

// eq. (3): v(g) = tf(g) * weight(g), for one order
[[nodiscard]] double weighed(const Count& c, const std::vector<double>& weights) {
  return c.count * weights[static_cast<size_t>(c.gram)];
}

[[nodiscard]] double norm(std::span<const Count> counts, const std::vector<double>& weights) {
  double square = 0;
  for (const Count& c : counts) square += weighed(c, weights) * weighed(c, weights);
  return std::sqrt(square);
}

// sum_g h(g) r(g) of eq. (4); with `clip` the min(h(g), r(g)) r(g) of eq. (5)
[[nodiscard]] double product(std::span<const Count> h, std::span<const Count> r,
                             const std::vector<double>& weights, bool clip) {
  double sum = 0;
  for (auto a = h.begin(), b = r.begin(); a != h.end() && b != r.end();) {
    if (a->gram == b->gram) {
      const double x = weighed(*a, weights), y = weighed(*b, weights);
      sum += (clip ? std::min(x, y) : x) * y;
    }
    const int32_t gram = std::min(a->gram, b->gram);
    if (a->gram == gram) ++a;
    if (b->gram == gram) ++b;
  }
  return sum;
}

[[nodiscard]] double bigrams(const Sentence& s) {
  return static_cast<double>(std::max<int64_t>(s.length - 1, 0));
}

// eq. (5) if `d`, else eq. (4)
[[nodiscard]] CaptionScore cider_score(const std::vector<CaptionedImage>& images, bool d) {
  check(images);
  constexpr double kSigma = 6;
  const std::vector<Counted> all = count_all(images);
  const Weights weights = inverse_frequencies(all);
  std::vector<double> each;
  for (const Counted& image : all) {
    const Sentence& h = image.hypothesis;
    double sum = 0;
    for (size_t k = 0; k < kOrders; ++k) {
      const double h_norm = norm(h.order(k), weights[k]);
      for (const Sentence& r : image.references) {
        const double norms = h_norm * norm(r.order(k), weights[k]);
        if (!(norms > 0)) continue;
        const double delta = bigrams(h) - bigrams(r);
        const double penalty = d ? std::exp(-delta * delta / (2 * kSigma * kSigma)) : 1.0;
        sum += product(h.order(k), r.order(k), weights[k], d) / norms * penalty;
      }
    }
    each.push_back(10.0 * sum / static_cast<double>(kOrders * image.references.size()));
  }
  return with_mean(std::move(each));
}

}  // namespace

Bleu bleu(const std::vector<CaptionedImage>& images) {
  check(images);
  Bleu all;
  for (const Counted& image : count_all(images)) {
    const Bleu one = count_matches(image);
    add(one, all);
    all.each.push_back(bleu_of(one));
  }
  all.score = bleu_of(all);
  return all;
}

CaptionScore rouge_l(const std::vector<CaptionedImage>& images) {
  check(images);
  constexpr double kBeta2 = 1.2 * 1.2;
  WordIds words;
  std::vector<double> each;
  for (const CaptionedImage& image : images) {
    const Ids hypothesis = words.ids(image.hypothesis);
    double precision = 0, recall = 0;
    for (const Words& r : image.references) {
      if (r.empty() || hypothesis.empty()) continue;
      const auto common = static_cast<double>(common_length(hypothesis, words.ids(r)));
      precision = std::max(precision, common / static_cast<double>(hypothesis.size()));
      recall = std::max(recall, common / static_cast<double>(r.size()));
    }
    const bool any = precision > 0 && recall > 0;
    each.push_back(any ? (1 + kBeta2) * precision * recall / (recall + kBeta2 * precision) : 0.0);
  }
  return with_mean(std::move(each));
}

CaptionScore cider(const std::vector<CaptionedImage>& images) { return cider_score(images, false); }
CaptionScore cider_d(const std::vector<CaptionedImage>& images) { return cider_score(images, true); }

}  // namespace gmail
