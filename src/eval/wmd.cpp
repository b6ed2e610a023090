#include "eval/wmd.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>
#include <map>
#include <numeric>
#include <sstream>

#include "core/check.h"
#include "eval/transport.h"

namespace gmail {
namespace {

constexpr const char* kStopWords =
    "a about above after again against ain all am an and any are aren aren't as at be because been before "
    "being below between both but by can couldn couldn't d did didn didn't do does doesn doesn't doing don "
    "don't down during each few for from further had hadn hadn't has hasn hasn't have haven haven't having "
    "he her here hers herself him himself his how i if in into is isn isn't it it's its itself just ll m ma "
    "me mightn mightn't more most mustn mustn't my myself needn needn't no nor not now o of off on once only "
    "or other our ours ourselves out over own re s same shan shan't she she's should should've shouldn "
    "shouldn't so some such t than that that'll the their theirs them themselves then there these they this "
    "those through to too under until up ve very was wasn wasn't we were weren weren't what when where which "
    "while who whom why will with won won't wouldn wouldn't y you you'd you'll you're you've your yours "
    "yourself yourselves";

// The words that count, with how often they stand there.
struct Bag {
  std::vector<std::span<const float>> vectors;
  std::vector<int64_t> counts;
  int64_t total = 0;
};

Bag bag_of(const Words& words, const WordVectors& vectors) {
  std::map<std::string_view, int64_t> counts;
  for (const std::string& word : words)
    if (!english_stop_words().contains(word) && !vectors.find(word).empty()) ++counts[word];
  Bag bag;
  for (const auto& [word, count] : counts) {
    bag.vectors.push_back(vectors.find(std::string(word)));
    bag.counts.push_back(count);
    bag.total += count;
  }
  return bag;
}

double euclidean(std::span<const float> x, std::span<const float> y) {
  double square = 0;
  for (size_t k = 0; k < x.size(); ++k) {
    const double d = static_cast<double>(x[k]) - y[k];
    square += d * d;
  }
  return std::sqrt(square);
}

double distance(const Bag& a, const Bag& b) {
  if (a.total == 0 || b.total == 0) return std::numeric_limits<double>::infinity();
  std::vector<double> cost;
  for (const auto& x : a.vectors)
    for (const auto& y : b.vectors) cost.push_back(euclidean(x, y));
  // shares count_i / total on one denominator: whole masses
  const int64_t common = std::gcd(a.total, b.total);
  std::vector<int64_t> supply = a.counts, demand = b.counts;
  for (int64_t& mass : supply) mass *= b.total / common;
  for (int64_t& mass : demand) mass *= a.total / common;
  return transport_cost(supply, demand, cost) / static_cast<double>(a.total * (b.total / common));
}

}  // namespace

const std::unordered_set<std::string>& english_stop_words() {
  static const std::unordered_set<std::string> words = [] {
    std::istringstream in(kStopWords);
    return std::unordered_set<std::string>(std::istream_iterator<std::string>(in), {});
  }();
  return words;
}

std::unordered_set<std::string> wmd_vocabulary(const std::vector<CaptionedImage>& images) {
  std::unordered_set<std::string> words;
  const auto add = [&](const Words& caption) {
    for (const std::string& word : caption)
      if (!english_stop_words().contains(word)) words.insert(word);
  };
  for (const CaptionedImage& image : images) {
    add(image.hypothesis);
    for (const Words& reference : image.references) add(reference);
  }
  return words;
}

double word_mover_distance(const Words& a, const Words& b, const WordVectors& vectors) {
  return distance(bag_of(a, vectors), bag_of(b, vectors));
}

CaptionScore wmd(const std::vector<CaptionedImage>& images, const WordVectors& vectors) {
  GMAIL_INPUT(!images.empty(), "[wmd] there are no captions");
  CaptionScore score;
  for (const CaptionedImage& image : images) {
    GMAIL_INPUT(!image.references.empty(), "[wmd] image ", score.each.size(), " has no reference caption");
    const Bag hypothesis = bag_of(image.hypothesis, vectors);
    double best = 0;
    for (const Words& reference : image.references)
      best = std::max(best, std::exp(-distance(hypothesis, bag_of(reference, vectors))));
    score.each.push_back(best);
    score.mean += best;
  }
  score.mean /= static_cast<double>(images.size());
  return score;
}

}  // namespace gmail
