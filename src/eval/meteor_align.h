// The alignment of METEOR: which of the possible matches between two captions are taken.
//
// A beam search over the words of the reference, from left to right. Partial alignments are ordered by
//   1. words matched on both sides; those matched by stem, synonym or paraphrase count half, rounded down for
//      each match: one word with one word counts nothing, and is taken only where that costs no chunk
//   2. fewer chunks (runs of words that are neighbours on both sides)
//   3. smaller distance: |place in the reference - place in the hypothesis|, summed over the matches that
//      were considered on the way
// and by age when all are equal. Ties are settled as METEOR 1.5 settles them, for they decide the score.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gmail {

enum class MeteorModule : int32_t { exact, stem, synonym, paraphrase };
inline constexpr int kMeteorModules = 4;

struct MeteorMatch {
  int32_t reference = 0, reference_length = 1;    // first word and number of words
  int32_t hypothesis = 0, hypothesis_length = 1;  // alike
  MeteorModule module = MeteorModule::exact;
};

// All that is possible between two captions.
struct MeteorMatches {
  std::vector<std::vector<MeteorMatch>> at;  // for each word of the reference: what begins there
  std::vector<int64_t> hypothesis_cover, reference_cover;  // for each word: in how many matches it stands
  MeteorMatches(size_t hypothesis_words, size_t reference_words)
      : at(reference_words), hypothesis_cover(hypothesis_words), reference_cover(reference_words) {}
  void add(const MeteorMatch& m);
};

// The matches taken, in the order of the reference's words. beam >= 1.
[[nodiscard]] std::vector<MeteorMatch> meteor_align(const MeteorMatches& possible, int beam);
// How many runs they form.
[[nodiscard]] int64_t meteor_chunks(const std::vector<MeteorMatch>& matches);

}  // namespace gmail
