// The synonyms of WordNet 3.0 as METEOR 1.5 looks them up, from the files that Princeton and Linux
// distributions ship [wndb(5WN), morphy(7WN)]: index.noun, index.verb, index.adj, index.adv with the synsets
// of each lemma, noun.exc, ... with irregular forms. Single words only: phrases ("ice_cream") are skipped.
//
// A synset is known by its offset in the data file, without its part of speech, as METEOR knows it: a few
// unrelated synsets, of a noun and a verb, say, share a number and count as one.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gmail {

class WordNet {
 public:
  // InputError: a file is missing or a line is not in WordNet's format
  explicit WordNet(const std::filesystem::path& folder);

  // The synsets of a word in lower case and of its base form, ascending; empty for an unknown word. The base
  // forms are those of the exception lists if the word stands there, else the first that a rule of detachment
  // ("ies" -> "y") makes and WordNet knows.
  [[nodiscard]] std::vector<int32_t> synsets(std::string_view word) const;

 private:
  void read_index(const std::filesystem::path& file);
  void read_exceptions(const std::filesystem::path& file);
  void add_synsets(const std::string& lemma, std::vector<int32_t>& to) const;

  std::unordered_map<std::string, std::vector<int32_t>> synsets_;  // of a lemma
  std::unordered_map<std::string, std::vector<std::string>> bases_;
};

// Where WordNet is on this machine: $WNSEARCHDIR, $WNHOME/dict, $WNHOME, /usr/share/wordnet; empty if in none
// of them.
[[nodiscard]] std::filesystem::path find_wordnet();

}  // namespace gmail
