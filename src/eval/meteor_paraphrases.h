// METEOR's paraphrase table: three lines for each entry, a probability, a phrase, its paraphrase; words are
// parted by single blanks. The published table has 5.3 million entries; those that cannot occur in the
// captions at hand are passed over while it is read, and so are phrases of more than seven words (it has
// none).
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <unordered_map>
#include <vector>

#include "eval/caption_metrics.h"

namespace gmail {

// A phrase of the table that stands in a caption.
struct PhraseAt {
  int32_t begin, length;  // in words
  int32_t phrase;         // its number in the table
};

class ParaphraseTable {
 public:
  ParaphraseTable() = default;  // empty
  // InputError: the file is compressed or does not consist of such triples
  ParaphraseTable(const std::filesystem::path& file, const std::vector<Words>& captions);

  // What of the table stands in a caption, by position, shorter ones first.
  [[nodiscard]] std::vector<PhraseAt> find(const Words& caption) const;
  // The paraphrases of a phrase, by number, in the order of the file.
  [[nodiscard]] const std::vector<int32_t>& paraphrases(int32_t phrase) const {
    return phrases_[static_cast<size_t>(phrase)].paraphrases;
  }
  [[nodiscard]] int32_t length(int32_t phrase) const { return phrases_[static_cast<size_t>(phrase)].length; }

 private:
  int32_t number_of(std::string_view phrase);

  struct Phrase {
    int32_t length;  // in words
    std::vector<int32_t> paraphrases;
  };
  std::unordered_map<std::string, int32_t> numbers_;
  std::vector<Phrase> phrases_;
  size_t longest_ = 0;
};

}  // namespace gmail
