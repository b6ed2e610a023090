#include "eval/caption_suite.h"

#include <algorithm>
#include <array>

#include "core/check.h"
#include "eval/english_stemmer.h"
#include "eval/ptb_tokenizer.h"
#include "eval/wmd.h"

namespace gmail {
namespace {

// eq. (1) of caption_metrics.h for the corpus, and for each image as a corpus of its own
void add_bleu(CaptionScores& out) {
  std::array<CaptionScore, 4> scores;
  for (size_t n = 0; n < scores.size(); ++n) scores[n].mean = out.counts.score[n];
  for (const std::array<double, 4>& one : out.counts.each)
    for (size_t n = 0; n < scores.size(); ++n) scores[n].each.push_back(one[n]);
  for (size_t n = 0; n < scores.size(); ++n)
    out.metrics.push_back({concat("Bleu_", n + 1), std::move(scores[n])});
}

// CIDEr-D, or the paper's CIDEr on the words and on their stems
void add_cider(const std::vector<CaptionedImage>& images, bool plain, CaptionScores& out) {
  if (!plain) return out.metrics.push_back({"CIDEr", cider_d(images)});
  out.metrics.push_back({"CIDEr", cider(images)});
  std::vector<CaptionedImage> stems = images;
  const auto stem = [](Words& words) {
    for (std::string& word : words) word = english_stem(word);
  };
  for (CaptionedImage& image : stems) {
    stem(image.hypothesis);
    for (Words& reference : image.references) stem(reference);
  }
  out.metrics.push_back({"CIDEr_stemmed", cider(stems)});
}

void add_wmd(const std::vector<CaptionedImage>& images, const CaptionSuite& suite, CaptionScores& out) {
  const std::unordered_set<std::string> words = wmd_vocabulary(images);
  WordVectors vectors = WordVectors::read(suite.word_vectors, words);
  if (suite.unit_vectors) vectors.normalise();
  out.dimension = vectors.dimension();
  out.words = std::ssize(words);
  out.words_with_vector = vectors.size();
  out.metrics.push_back({"WMD", wmd(images, vectors)});
}

}  // namespace

double CaptionScores::overall(const std::string& key) const {
  const auto found =
      std::find_if(metrics.begin(), metrics.end(), [&](const MetricScore& m) { return m.key == key; });
  GMAIL_CHECK(found != metrics.end(), "[caption_suite] ", key, " was not asked for");
  return found->score.mean;
}

std::vector<CaptionedImage> tokenized(const std::vector<CaptionToScore>& images) {
  // one file of results and one of references, as the reference tool makes them
  std::vector<std::string> results, references;
  for (const CaptionToScore& image : images) {
    results.push_back(image.caption);
    references.insert(references.end(), image.references.begin(), image.references.end());
  }
  std::vector<Words> hypotheses = caption_tokens_of_lines(results);
  std::vector<Words> lines = caption_tokens_of_lines(references);
  std::vector<CaptionedImage> out;
  auto line = lines.begin();
  for (size_t i = 0; i < images.size(); ++i) {
    const auto end = line + std::ssize(images[i].references);
    out.push_back({std::move(hypotheses[i]), {std::move_iterator(line), std::move_iterator(end)}});
    line = end;
  }
  return out;
}

CaptionScores score_captions(const std::vector<CaptionedImage>& images, const CaptionSuite& suite) {
  if (suite.spice) check_spice(suite.spice_options);
  CaptionScores out;
  out.counts = bleu(images);
  if (suite.bleu) add_bleu(out);
  if (suite.meteor) {
    const Meteor meteor(suite.meteor_options);
    out.metrics.push_back({meteor.name(), meteor.score(images)});
  }
  if (suite.rouge) out.metrics.push_back({"ROUGE_L", rouge_l(images)});
  if (suite.cider) add_cider(images, suite.plain_cider, out);
  if (suite.wmd) add_wmd(images, suite, out);
  if (suite.spice) out.metrics.push_back({"SPICE", spice(images, suite.spice_options)});
  return out;
}

}  // namespace gmail
