// Protects the search rules: each gives, token by token, what a plain rendering of its source gives (flat
// arrays, every candidate ranked), and sampling draws from the distribution that it names.
#include "catch.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>
#include <random>

#include "core/check.h"
#include "core/rng.h"
#include "models/caption_search.h"

using namespace gmail;

namespace {

constexpr int64_t kVocab = 17;
constexpr int32_t kEnd = 16;
using Text = std::vector<int32_t>;

// A language model of nothing but chance: the log-probabilities after a text, and its logits.
std::vector<float> logits_after(const Text& text, uint64_t seed) {
  uint64_t name = 1;
  for (const int32_t w : text) name = name * 31 + static_cast<uint64_t>(w) + 7;
  Rng rng(seed, Purpose::test, static_cast<uint64_t>(text.size()), name & 0xffffffffffU);
  std::vector<float> x(kVocab);
  for (float& v : x) v = static_cast<float>(2 * rng.normal());
  return x;
}
std::vector<double> logp_after(const Text& text, uint64_t seed) {
  const std::vector<float> x = logits_after(text, seed);
  double sum = 0;
  for (const float v : x) sum += std::exp(static_cast<double>(v));
  std::vector<double> out;
  for (const float v : x) out.push_back(static_cast<double>(v) - std::log(sum));
  return out;
}

Decoded searched(const DecodeOptions& o, uint64_t seed, uint64_t stream = 0) {
  CaptionSearch search;
  search.stream = stream;
  for (int guard = 0; !search.over; ++guard) {
    REQUIRE(guard < 100);
    std::vector<float> logits;
    int64_t row = 0;
    for (CaptionBeam& beam : search.beams) {
      if (beam.ended) continue;
      const auto x = logits_after(beam.text.tokens, seed);
      logits.insert(logits.begin(), x.begin(), x.end());  // rows in another order than the beams
      ++row;
    }
    for (CaptionBeam& beam : search.beams)
      if (!beam.ended) beam.row = --row;
    advance(search, logits, kVocab, o, kEnd);
  }
  return search.done.front().text;
}

struct Flat {
  double score;
  size_t source;
  int32_t token;
};
void sort_flat(std::vector<Flat>& all) {
  std::stable_sort(all.begin(), all.end(), [](const Flat& a, const Flat& b) { return a.score > b.score; });
}

// transformers' beam search: K running texts; K kept results, places of which are empty at first
Text generate(const DecodeOptions& o, uint64_t seed) {
  const auto K = static_cast<size_t>(o.beams);
  std::vector<std::pair<double, Text>> running{{0.0, {}}}, kept;
  for (int64_t t = 1; t <= o.max_length; ++t) {
    std::vector<Flat> all;
    for (size_t b = 0; b < running.size(); ++b) {
      auto logp = logp_after(running[b].second, seed);
      if (t <= o.min_length) logp[kEnd] = -INFINITY;
      for (int32_t w = 0; w < kVocab; ++w)
        all.push_back({running[b].first + logp[static_cast<size_t>(w)], b, w});
    }
    sort_flat(all);
    all.resize(2 * K);
    std::vector<std::pair<double, Text>> next;
    for (size_t i = 0; i < all.size(); ++i) {
      Text text = running[all[i].source].second;
      text.push_back(all[i].token);
      const bool stops = all[i].token == kEnd || t == o.max_length;
      if (stops && i < K) kept.emplace_back(all[i].score / static_cast<double>(t), text);
      if (!stops && next.size() < K) next.emplace_back(all[i].score, text);
    }
    std::stable_sort(kept.begin(), kept.end(),
                     [](const auto& a, const auto& b) { return a.first > b.first; });
    if (kept.size() > K) kept.resize(K);
    running = next;
    if (t == o.max_length) break;
    if (kept.size() == K && running[0].first / static_cast<double>(t) <= kept.back().first) break;
  }
  Text best = kept[0].second;
  if (best.back() == kEnd) best.pop_back();
  return best;
}

// predict.py's generate_beam: arrays of K scores, lengths, texts of equal length, stopped or not
Text predict(const DecodeOptions& o, uint64_t seed) {
  const auto K = static_cast<size_t>(o.beams);
  std::vector<double> scores;
  std::vector<double> lengths(K, 1.0);
  std::vector<Text> texts;
  std::vector<char> stopped(K, 0);
  for (int64_t t = 0; t < o.max_length; ++t) {
    if (texts.empty()) {
      const auto logp = logp_after({}, seed);
      std::vector<Flat> all;
      for (int32_t w = 0; w < kVocab; ++w) all.push_back({logp[static_cast<size_t>(w)], 0, w});
      sort_flat(all);
      for (size_t b = 0; b < K; ++b) {
        scores.push_back(all[b].score);
        texts.push_back({all[b].token});
      }
    } else {
      std::vector<Flat> all;
      for (size_t b = 0; b < K; ++b) {
        const auto logp = logp_after(texts[b], seed);
        if (!stopped[b]) lengths[b] += 1;
        for (int32_t w = 0; w < kVocab; ++w) {
          const double cost = !stopped[b] ? logp[static_cast<size_t>(w)] : w == 0 ? 0.0 : -INFINITY;
          all.push_back({(scores[b] + cost) / lengths[b], b, w});
        }
      }
      sort_flat(all);
      all.resize(K);
      const auto old_texts = texts;
      const auto old_lengths = lengths;
      const auto old_stopped = stopped;
      for (size_t b = 0; b < K; ++b) {
        texts[b] = old_texts[all[b].source];
        texts[b].push_back(all[b].token);
        lengths[b] = old_lengths[all[b].source];
        scores[b] = all[b].score * lengths[b];
        stopped[b] = old_stopped[all[b].source];
      }
    }
    for (size_t b = 0; b < K; ++b) stopped[b] = stopped[b] || texts[b].back() == 13;
    if (std::ranges::all_of(stopped, [](char s) { return s != 0; })) break;
  }
  size_t best = 0;
  for (size_t b = 1; b < K; ++b)
    if (scores[b] / lengths[b] > scores[best] / lengths[best]) best = b;
  texts[best].resize(static_cast<size_t>(lengths[best]));
  return texts[best];
}

}  // namespace

TEST_CASE("caption search: the standard rule is transformers', greedy and with beams, cut off or not") {
  for (uint64_t seed = 0; seed < 60; ++seed)
    for (const int beams : {1, 2, 5})
      for (const int64_t longest : {1, 3, 12}) {
        const DecodeOptions o{
            .beams = beams, .min_length = static_cast<int64_t>(seed % 2), .max_length = longest};
        INFO("seed " << seed << ", " << beams << " beams, at most " << longest << " tokens");
        const Decoded found = searched(o, seed);
        CHECK(found.tokens == generate(o, seed));
        double logprob = 0;
        for (size_t t = 0; t <= found.tokens.size(); ++t) {
          const bool cut = t == found.tokens.size() && static_cast<int64_t>(t) == longest;
          const auto logp =
              logp_after({found.tokens.begin(), found.tokens.begin() + static_cast<long>(t)}, seed);
          if (!cut) logprob += logp[t == found.tokens.size() ? kEnd : static_cast<size_t>(found.tokens[t])];
        }
        CHECK(std::abs(found.logprob - logprob) < 1e-9);
      }
}

TEST_CASE("caption search: the released rule is predict.py's") {
  int stopped = 0;
  for (uint64_t seed = 0; seed < 60; ++seed)
    for (const int beams : {1, 3, 5})
      for (const int64_t longest : {1, 20}) {
        const DecodeOptions o{.beams = beams, .max_length = longest, .rule = DecodeRule::clipcap};
        INFO("seed " << seed << ", " << beams << " beams, at most " << longest << " tokens");
        const Text found = searched(o, seed).tokens;
        CHECK(found == predict(o, seed));
        stopped += found.back() == 13 ? 1 : 0;
      }
  CHECK(stopped > 60);  // texts that stop and texts that do not
}

TEST_CASE("caption search: sampling draws from p^(1/T), cut at top_p") {
  constexpr int kDraws = 4000;
  for (const auto& [temperature, top_p] : {std::pair(1.0, 1.0), {0.5, 1.0}, {2.0, 0.6}}) {
    const auto logp = logp_after({}, 3);
    std::vector<double> p;
    for (const double l : logp) p.push_back(std::exp(l / temperature));
    std::vector<size_t> order(p.size());
    std::iota(order.begin(), order.end(), 0);
    std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return p[a] > p[b]; });
    const double all = std::accumulate(p.begin(), p.end(), 0.0);
    double held = 0;
    for (const size_t w : order) {
      const double before = held / all;
      held += p[w];
      if (before >= top_p) p[w] = 0;
    }
    const double kept = std::accumulate(p.begin(), p.end(), 0.0);
    std::map<int32_t, int> drawn;
    DecodeOptions o{.max_length = 1, .sample = true, .temperature = temperature, .top_p = top_p, .seed = 5};
    for (uint64_t stream = 0; stream < kDraws; ++stream) {
      const Decoded d = searched(o, 3, stream);
      const int32_t token = d.tokens.empty() ? kEnd : d.tokens[0];
      ++drawn[token];
      CHECK(std::abs(d.logprob - logp[static_cast<size_t>(token)]) < 1e-9);
    }
    for (int32_t w = 0; w < kVocab; ++w) {
      const double expected = p[static_cast<size_t>(w)] / kept, share = drawn[w] / double{kDraws};
      INFO("token " << w << ", temperature " << temperature << ", top_p " << top_p);
      CHECK(std::abs(share - expected) <= 5 * std::sqrt(expected * (1 - expected) / kDraws));
    }
  }
  const DecodeOptions o{.min_length = 3, .max_length = 6, .sample = true, .seed = 1};
  CHECK(searched(o, 4, 9).tokens == searched(o, 4, 9).tokens);
  CHECK(searched(o, 4, 9).tokens.size() >= 3);
}

TEST_CASE("caption search: what cannot be is refused") {
  const auto refused = [](const DecodeOptions& o) { CHECK_THROWS_AS(o.check(), InputError); };
  refused({.beams = 0});
  refused({.min_length = 5, .max_length = 4});
  refused({.beams = 2, .sample = true});
  refused({.sample = true, .temperature = 0});
  refused({.sample = true, .top_p = 1.5});
  refused({.rule = DecodeRule::clipcap, .sample = true});
  CaptionSearch search;
  const std::vector<float> bad(kVocab, NAN);
  CHECK_THROWS_AS(advance(search, bad, kVocab, {}, kEnd), Error);
}
