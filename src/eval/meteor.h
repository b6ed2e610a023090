// METEOR 1.5 (Denkowski and Lavie 2014, "Meteor Universal") for English, task "rank", on words that are
// already split: the words of a caption are joined by blanks and go through METEOR's own normaliser, as in
// the reference pipeline.
//
// Each word of the hypothesis is matched with at most one of the reference (by a paraphrase some words with
// some words), because it is the same word, has the same stem, shares a synset of WordNet, or stands in the
// paraphrase table. With h the hypothesis and r the reference, m_i words matched by module i, of weight
// w_i = 1.0, 0.6, 0.8, 0.6, content words (c) and function words (f) counted apart:
//   (1)  P = sum_i w_i (d m_i(h_c) + (1 - d) m_i(h_f)) / (d |h_c| + (1 - d) |h_f|),  R alike on r,  d = 0.75
//   (2)  F = P R / (a P + (1 - a) R),  a = 0.85
//   (3)  score = F (1 - g (chunks / m)^b),  m the mean of the words matched on the two sides,  g = 0.6,
//        b = 0.2; no penalty when every word on both sides is matched and there is one chunk
// An image's score is that of its best reference. The score of the corpus comes from the sums of the counts.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "eval/caption_metrics.h"
#include "eval/wordnet.h"

namespace gmail {

struct MeteorOptions {
  std::filesystem::path wordnet{};      // folder of its files, see find_wordnet(); empty: no synonyms
  std::filesystem::path paraphrases{};  // METEOR's paraphrase table, unpacked; empty: no paraphrases
  int beam = 40;                        // partial alignments that are kept
};

class Meteor {
 public:
  explicit Meteor(const MeteorOptions& options);  // reads WordNet; the paraphrase table is read in score()
  ~Meteor();
  Meteor(Meteor&&) noexcept;
  Meteor& operator=(Meteor&&) noexcept;

  // "METEOR" if all four modules run, else those that do: "METEOR_exact_stem", "METEOR_exact_stem_synonym",
  // "METEOR_exact_stem_paraphrase"
  [[nodiscard]] std::string name() const;

  // mean: the corpus score from the summed counts, not the mean of `each`. A pair without words on one side
  // scores 0. An image without references, or no image at all, is refused as bad input.
  [[nodiscard]] CaptionScore score(const std::vector<CaptionedImage>& images) const;

 private:
  struct Modules;
  std::unique_ptr<Modules> modules_;
};

}  // namespace gmail
