// Word vectors from a file in word2vec's forms (Mikolov et al. 2013; the tool's -binary 1 and -binary 0), or
// GloVe's, which is the text form without its first line:
//   binary  "N D\n", then N times: the word, a blank, D float32 in little endian, perhaps a line end
//   text    "N D\n", then N lines: the word and D numbers, with blanks between
// Only words that are asked for are kept, so a file of gigabytes costs the time to walk through it and little
// memory.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace gmail {

class WordVectors {
 public:
  // The first of two vectors of one word counts. InputErrors name the file and the line, or the byte and the
  // number of the vector: a bad first line, a vector too short, a number that is not finite, an early end.
  [[nodiscard]] static WordVectors read(const std::filesystem::path& file,
                                        const std::unordered_set<std::string>& wanted);

  [[nodiscard]] int64_t dimension() const { return dimension_; }
  [[nodiscard]] int64_t in_file() const { return in_file_; }  // words of the file
  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(rows_.size()); }
  // (D), or an empty span for a word without a vector
  [[nodiscard]] std::span<const float> find(const std::string& word) const;
  // Every vector that is not 0 becomes one of length 1.
  void normalise();

 private:
  friend class WordVectorReader;
  int64_t dimension_ = 0, in_file_ = 0;
  std::vector<float> values_;
  std::unordered_map<std::string, size_t> rows_;  // where in values_ a vector begins
};

}  // namespace gmail
