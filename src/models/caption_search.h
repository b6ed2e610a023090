// How a caption is searched for, one image at a time: the rules by which the logits of the next token make a
// search's beams into those of the next step. What feeds them is models/caption_decoder.h.
//   greedy    the most likely token (one beam)
//   beam      K beams, each step the 2 K best continuations by the sum of their log-probabilities; a
//             continuation that ends is a result if it is among the best K. Results are ranked by
//               (1)  sum_t log p(w_t | w_<t) / n,   n tokens with the end token
//             and the search ends with K results when no beam has a better (1) than the worst of them: the
//             rule of transformers' generate with its defaults, to the token
//   sampled   one beam, a token drawn from p(w)^(1/T) / Z, cut to the most likely tokens that hold a share of
//             at least top_p together (nucleus sampling, Holtzman et al. 2019, arXiv:1904.09751)
//   clipcap   the released ClipCap's (predict.py): a beam that emitted ".", id 13, stays as it is; the K best
//               (2)  (score + log p(w)) / (length + 1)   of an open beam's continuations,
//                    score / length                      of a beam that stays
//             are the next beams, until all of them stay. min_length is not known to it.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gmail {

enum class DecodeRule : uint8_t { standard, clipcap };

inline constexpr int kMostBeams = 1000;
// The most tokens of a caption where nobody says: 32, or predict.py's 67, or as many as there is `room` for.
[[nodiscard]] int64_t default_max_length(DecodeRule rule, int64_t room);

struct DecodeOptions {
  int beams = 1;                            // 1: greedy
  int64_t min_length = 0, max_length = 32;  // in tokens, the end token not counted in the first
  DecodeRule rule = DecodeRule::standard;
  bool sample = false;                // with one beam
  double temperature = 1, top_p = 1;  // of `sample`
  uint64_t seed = 0;                  // of `sample`
  bool cache = true;        // keys and values are kept; without: every step reads the whole text again
  bool cuda_graph = false;  // on a GPU: a step is recorded once and launched as one: the same bits
  void check() const;       // InputError for what cannot be
};

struct Decoded {
  std::vector<int32_t> tokens;  // without the end token; the released rule's "." is one of them
  double logprob = 0;           // sum over the tokens and the end token
};

struct CaptionBeam {
  Decoded text;
  bool ended = false;
  int64_t row = 0;  // its row of the last logits, and of the cache
};

struct CaptionSearch {
  std::vector<CaptionBeam> beams{CaptionBeam{}};  // as they stand; those that ended wait (released rule)
  std::vector<CaptionBeam> done;                  // results, the best first
  bool over = false;
  uint64_t stream = 0;  // names the random numbers of this image
};

// One step: logits (rows, V) of the tokens after those of the open beams, of which beam.row says the row. All
// open beams have the same number of tokens. Ties go to the earlier beam, then the lower token.
void advance(CaptionSearch& search, std::span<const float> logits, int64_t vocab,
             const DecodeOptions& options, int32_t end_id);

}  // namespace gmail
