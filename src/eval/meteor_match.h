// What METEOR can match between two captions, before the alignment chooses.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "eval/meteor_align.h"
#include "eval/meteor_paraphrases.h"
#include "eval/wordnet.h"

namespace gmail {

// A caption in numbers: equal words have equal numbers.
struct MeteorCaption {
  std::vector<int32_t> words;     // numbers in the lexicon
  std::vector<PhraseAt> phrases;  // of the paraphrase table
};

// What is known of each word that has been met.
class MeteorLexicon {
 public:
  struct Entry {
    int32_t stem = 0;              // equal stems have equal numbers
    bool is_function = false;      // else a content word
    std::vector<int32_t> synsets;  // ascending
  };
  explicit MeteorLexicon(const WordNet* wordnet) : wordnet_(wordnet) {}  // nullptr: no synonyms
  [[nodiscard]] int32_t number_of(const std::string& word);
  [[nodiscard]] const Entry& entry(int32_t word) const { return entries_[static_cast<size_t>(word)]; }

 private:
  const WordNet* wordnet_;
  std::unordered_map<std::string, int32_t> numbers_, stems_;
  std::vector<Entry> entries_;
};

// Finds the matches of one hypothesis with its references. Lexicon, table and hypothesis must outlive it.
class MeteorMatcher {
 public:
  MeteorMatcher(const MeteorLexicon& lexicon, const ParaphraseTable& table, const MeteorCaption& hypothesis);
  // In the order in which METEOR lists them: by module, then by place in the hypothesis. Of a word that
  // stands there more than 100 times the nearest 100 count: so the effort grows with the length of the
  // captions, not with its square.
  [[nodiscard]] MeteorMatches matches(const MeteorCaption& reference) const;

 private:
  using Places = std::unordered_map<int32_t, std::vector<int32_t>>;  // something -> where it is, ascending
  void add_words(int32_t at, const std::vector<int32_t>& places, int32_t word, MeteorModule module,
                 MeteorMatches& to) const;
  void add_synonyms(int32_t at, int32_t word, MeteorMatches& to) const;
  void add_paraphrases(const MeteorCaption& reference, MeteorMatches& to) const;

  const MeteorLexicon& lexicon_;
  const ParaphraseTable& table_;
  const MeteorCaption& hypothesis_;
  Places words_, stems_, synsets_, phrases_;
};

}  // namespace gmail
