#include "models/caption_search.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "core/check.h"
#include "core/rng.h"

namespace gmail {
namespace {

constexpr int32_t kFullStop = 13;  // "." of GPT-2's vocabulary, without a blank before it

struct Candidate {
  double score;  // what candidates are ranked by
  double logprob;
  size_t beam;
  int32_t token;
};

bool better(const Candidate& x, const Candidate& y) {
  return x.score != y.score ? x.score > y.score : std::pair(x.beam, x.token) < std::pair(y.beam, y.token);
}

void keep_best(std::vector<Candidate>& all, size_t n) {
  n = std::min(n, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(n), all.end(), better);
  all.resize(n);
}

// log sum_w exp(scale logits_w)
double log_sum_exp(std::span<const float> logits, double scale = 1) {
  const double top = scale * static_cast<double>(*std::max_element(logits.begin(), logits.end()));
  double sum = 0;
  for (const float x : logits) sum += std::exp(scale * static_cast<double>(x) - top);
  GMAIL_CHECK(std::isfinite(sum), "[decode] the logits are not finite");
  return top + std::log(sum);
}

// The n most likely continuations of beam b, `without` one token (-1: none): token and log p.
std::vector<Candidate> continuations(const CaptionBeam& beam, size_t b, std::span<const float> logits,
                                     size_t n, int32_t without) {
  const double log_z = log_sum_exp(logits);
  std::vector<Candidate> best;  // the worst of them in front
  for (size_t w = 0; w < logits.size(); ++w) {
    const auto token = static_cast<int32_t>(w);
    const double logprob = beam.text.logprob + (static_cast<double>(logits[w]) - log_z);
    if (token == without || (best.size() == n && logprob <= best.front().score)) continue;
    if (best.size() == n) {
      std::pop_heap(best.begin(), best.end(), better);
      best.pop_back();
    }
    best.push_back({logprob, logprob, b, token});
    std::push_heap(best.begin(), best.end(), better);
  }
  return best;
}

CaptionBeam continued(const CaptionBeam& from, const Candidate& c) {
  CaptionBeam beam = from;
  beam.text.logprob = c.logprob;
  beam.text.tokens.push_back(c.token);
  return beam;
}

double mean_logprob(const CaptionBeam& beam, bool with_end) {  // eq. (1)
  return beam.text.logprob / static_cast<double>(beam.text.tokens.size() + (with_end ? 1 : 0));
}

using Rows = std::vector<std::span<const float>>;  // the logits of each beam

void advance_standard(CaptionSearch& search, const Rows& logits, const DecodeOptions& o, int32_t end_id) {
  const auto K = static_cast<size_t>(o.beams);
  const auto length = static_cast<int64_t>(search.beams.front().text.tokens.size());
  const bool last = length + 1 == o.max_length;
  std::vector<Candidate> all;
  for (size_t b = 0; b < search.beams.size(); ++b)
    for (const Candidate& c :
         continuations(search.beams[b], b, logits[b], 2 * K, length < o.min_length ? end_id : -1))
      all.push_back(c);
  keep_best(all, 2 * K);
  std::vector<CaptionBeam> open;
  for (size_t i = 0; i < all.size() && open.size() < K; ++i) {
    const bool ends = all[i].token == end_id;
    CaptionBeam beam = continued(search.beams[all[i].beam], all[i]);
    if (ends) beam.text.tokens.pop_back();
    beam.ended = ends;
    if ((ends || last) && i < K) search.done.push_back(beam);
    if (!ends) open.push_back(std::move(beam));
  }
  std::stable_sort(search.done.begin(), search.done.end(), [](const CaptionBeam& x, const CaptionBeam& y) {
    return mean_logprob(x, x.ended) > mean_logprob(y, y.ended);
  });
  search.beams = std::move(open);
  if (search.done.size() > K) search.done.resize(K);
  search.over = last || search.beams.empty() ||
                (search.done.size() == K && mean_logprob(search.beams.front(), false) <=
                                                mean_logprob(search.done.back(), search.done.back().ended));
}

// A token of p^(1/T), cut at top_p: token and its log p.
Candidate draw(std::span<const float> logits, const DecodeOptions& o, int32_t without, Rng rng) {
  std::vector<int32_t> order(logits.size());
  std::iota(order.begin(), order.end(), 0);
  if (without >= 0) order.erase(order.begin() + without);
  const auto weight = [&, scale = 1 / o.temperature,
                       log_z = log_sum_exp(logits, 1 / o.temperature)](int32_t w) {
    return std::exp(scale * static_cast<double>(logits[static_cast<size_t>(w)]) - log_z);
  };
  double total = 0;
  for (const int32_t w : order) total += weight(w);
  size_t kept = order.size();
  if (o.top_p < 1) {  // as many of the most likely as it takes, sorted part by part
    double held = 0;
    size_t sorted = 0;
    for (kept = 0; held < o.top_p * total && kept < order.size(); ++kept) {
      if (kept == sorted) {
        sorted = std::min(order.size(), 8 * sorted + 64);
        std::partial_sort(
            order.begin() + static_cast<std::ptrdiff_t>(kept),
            order.begin() + static_cast<std::ptrdiff_t>(sorted), order.end(), [&](int32_t x, int32_t y) {
              const float a = logits[static_cast<size_t>(x)], b = logits[static_cast<size_t>(y)];
              return a != b ? a > b : x < y;
            });
      }
      held += weight(order[kept]);
    }
    total = held;
  }
  double left = rng.uniform() * total;
  size_t i = 0;
  while (i + 1 < kept && (left -= weight(order[i])) >= 0) ++i;
  const int32_t token = order[i];
  const double logprob = static_cast<double>(logits[static_cast<size_t>(token)]) - log_sum_exp(logits);
  return {logprob, logprob, 0, token};
}

void advance_sampled(CaptionSearch& search, const Rows& logits, const DecodeOptions& o, int32_t end_id) {
  CaptionBeam& beam = search.beams.front();
  const auto length = static_cast<int64_t>(beam.text.tokens.size());
  const Rng rng(o.seed, Purpose::caption_token, static_cast<uint64_t>(length), search.stream);
  const Candidate c = draw(logits.front(), o, length < o.min_length ? end_id : -1, rng);
  beam.text.logprob += c.logprob;
  beam.ended = c.token == end_id;
  if (!beam.ended) beam.text.tokens.push_back(c.token);
  search.over = beam.ended || length + 1 == o.max_length;
  if (search.over) search.done = {beam};
}

void advance_clipcap(CaptionSearch& search, const Rows& logits, const DecodeOptions& o) {
  const auto K = static_cast<size_t>(o.beams);
  const auto length_of = [](const CaptionBeam& b) { return static_cast<double>(b.text.tokens.size()); };
  std::vector<Candidate> all;
  for (size_t b = 0; b < search.beams.size(); ++b) {
    const CaptionBeam& beam = search.beams[b];
    if (beam.ended) {
      all.push_back({beam.text.logprob / length_of(beam), beam.text.logprob, b, 0});
      continue;
    }
    for (Candidate c : continuations(beam, b, logits[b], K, -1)) {
      c.score = c.logprob / (length_of(beam) + 1);  // eq. (2)
      all.push_back(c);
    }
  }
  keep_best(all, K);
  std::vector<CaptionBeam> next;
  for (const Candidate& c : all) {
    const CaptionBeam& from = search.beams[c.beam];
    next.push_back(from.ended ? from : continued(from, c));
    next.back().ended = from.ended || c.token == kFullStop;
  }
  search.beams = std::move(next);
  size_t longest = 0;
  for (const CaptionBeam& b : search.beams) longest = std::max(longest, b.text.tokens.size());
  const bool all_ended = std::ranges::all_of(search.beams, [](const CaptionBeam& b) { return b.ended; });
  search.over = all_ended || static_cast<int64_t>(longest) == o.max_length;
  if (search.over) search.done = {search.beams.front()};  // sorted by eq. (2): the best mean
}

}  // namespace

int64_t default_max_length(DecodeRule rule, int64_t room) {
  return std::min<int64_t>(rule == DecodeRule::clipcap ? 67 : DecodeOptions().max_length, room);
}

void DecodeOptions::check() const {
  constexpr double kLeast = 1e-6;
  GMAIL_INPUT(
      beams >= 1 && beams <= kMostBeams && max_length >= 1 && min_length >= 0 && min_length <= max_length,
      "[decode] beams ", beams, ", lengths ", min_length, " to ", max_length);
  GMAIL_INPUT(!sample || (beams == 1 && rule == DecodeRule::standard),
              "[decode] sampling is for one beam of the standard rule, found ", beams, " beams");
  GMAIL_INPUT(temperature >= kLeast && std::isfinite(temperature), "[decode] temperature ", temperature,
              ": expected a number from ", kLeast, " on");
  GMAIL_INPUT(top_p > 0 && top_p <= 1, "[decode] top_p ", top_p, ": expected above 0 and at most 1");
}

void advance(CaptionSearch& search, std::span<const float> logits, int64_t vocab, const DecodeOptions& o,
             int32_t end_id) {
  Rows rows;
  for (const CaptionBeam& beam : search.beams)
    rows.push_back(beam.ended
                       ? std::span<const float>()
                       : logits.subspan(static_cast<size_t>(beam.row * vocab), static_cast<size_t>(vocab)));
  if (o.sample)
    advance_sampled(search, rows, o, end_id);
  else if (o.rule == DecodeRule::clipcap)
    advance_clipcap(search, rows, o);
  else
    advance_standard(search, rows, o, end_id);
}

}  // namespace gmail
