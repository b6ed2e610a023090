// The scores of captions as the field gives them, from text to numbers: tokens (eval/ptb_tokenizer.h), then
// the metrics that are asked for, under the names of the reference tool.
//   Bleu_1 .. Bleu_4, ROUGE_L   fractions of 1 (caption_metrics.h)
//   CIDEr                       CIDEr-D without stems, as coco-caption's key of this name; 0 .. 10
//   CIDEr, CIDEr_stemmed        with plain_cider: the paper's, without clipping and length penalty; the paper
//                               also stems the words
//   METEOR_..                   of the corpus, by the modules that ran (meteor.h)
//   WMD                         exp(-distance) (wmd.h)
//   SPICE                       by the authors' program (spice.h)
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "data/coco_captions.h"
#include "eval/caption_metrics.h"
#include "eval/meteor.h"
#include "eval/spice.h"

namespace gmail {

struct CaptionSuite {
  bool bleu = true, rouge = true, cider = true, meteor = true, wmd = false, spice = false;
  bool plain_cider = false;
  MeteorOptions meteor_options = {};
  std::filesystem::path word_vectors = {};  // of WMD
  bool unit_vectors = false;                // WMD between vectors of length 1
  SpiceOptions spice_options = {};
};

struct MetricScore {
  std::string key;
  CaptionScore score;  // mean: the score of the corpus, for BLEU and METEOR not the mean of `each`
};

struct CaptionScores {
  std::vector<MetricScore> metrics;
  Bleu counts;  // lengths and n-grams, whether BLEU was asked for or not
  // of WMD: size of the vectors; different words that are no stop words, and those of them with a vector
  int64_t dimension = 0, words = 0, words_with_vector = 0;

  [[nodiscard]] double overall(const std::string& key) const;  // an Error for one that was not asked for
};

[[nodiscard]] std::vector<CaptionedImage> tokenized(const std::vector<CaptionToScore>& images);
[[nodiscard]] CaptionScores score_captions(const std::vector<CaptionedImage>& images,
                                           const CaptionSuite& suite);

}  // namespace gmail
