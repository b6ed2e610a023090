#include "eval/word_vectors.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>
#include <optional>
#include <string_view>

#include "core/check.h"
#include "io/files.h"

namespace gmail {
namespace {

constexpr std::string_view kBlank = " \t\r";

std::vector<std::string_view> fields_of(std::string_view line) {
  std::vector<std::string_view> fields;
  for (size_t begin = line.find_first_not_of(kBlank); begin != std::string_view::npos;) {
    const size_t end = std::min(line.find_first_of(kBlank, begin), line.size());
    fields.push_back(line.substr(begin, end - begin));
    begin = line.find_first_not_of(kBlank, end);
  }
  return fields;
}

template <class T>
std::optional<T> number(std::string_view text) {
  T value{};
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || stop != text.data() + text.size()) return {};
  return value;
}

bool all_numbers(std::span<const std::string_view> fields) {
  return std::all_of(fields.begin(), fields.end(), [](std::string_view f) { return number<float>(f); });
}

}  // namespace

class WordVectorReader {
 public:
  WordVectorReader(const std::filesystem::path& file, const std::unordered_set<std::string>& wanted)
      : name_(file.string()), mapped_(file), wanted_(wanted) {
    const auto bytes = mapped_.bytes();
    text_ = {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  WordVectors read() {
    constexpr int64_t kLargest = 100000;
    const auto first = fields_of(line_at(0));
    const bool header = first.size() == 2 && number<int64_t>(first[0]) && number<int64_t>(first[1]);
    if (!header) {
      const bool glove = first.size() >= 2 && all_numbers(std::span(first).subspan(1));
      GMAIL_INPUT(glove, name_, ":1: expected \"WORDS DIMENSION\" or a word and its numbers, found ",
                  first.empty() ? std::string("nothing") : concat(first.size(), " fields"));
      out_.dimension_ = std::ssize(first) - 1;
      read_text(0, {});
      return std::move(out_);
    }
    const int64_t words = *number<int64_t>(first[0]);
    out_.dimension_ = *number<int64_t>(first[1]);
    GMAIL_INPUT(words > 0 && out_.dimension_ > 0 && out_.dimension_ <= kLargest, name_,
                ":1: expected the number of words and a dimension of 1 .. ", kLargest, ", found ", words,
                " and ", out_.dimension_);
    const size_t begin = std::min(text_.size(), line_at(0).size() + 1);
    if (is_text(begin))
      read_text(begin, words);
    else
      read_binary(begin, words);
    return std::move(out_);
  }

 private:
  [[nodiscard]] std::string_view line_at(size_t begin) const {
    constexpr size_t kLongest = 1 << 22;  // a line that nobody means: not text
    const std::string_view rest = text_.substr(begin, kLongest);
    return rest.substr(0, rest.find('\n'));
  }

  // Is what follows the first line a word and as many numbers as it should be?
  [[nodiscard]] bool is_text(size_t begin) const {
    const auto fields = fields_of(line_at(begin));
    const auto d = static_cast<size_t>(out_.dimension_);
    return fields.size() > d && all_numbers(std::span(fields).last(d));
  }

  [[nodiscard]] bool keeps(const std::string& word) const {
    return wanted_.contains(word) && !out_.rows_.contains(word);
  }

  void keep(const std::string& word, std::span<const float> vector, const std::string& where) {
    GMAIL_INPUT(std::all_of(vector.begin(), vector.end(), [](float x) { return std::isfinite(x); }), where,
                ": \"", word, "\": expected finite numbers");
    out_.rows_.emplace(word, out_.values_.size());
    out_.values_.insert(out_.values_.end(), vector.begin(), vector.end());
  }

  void read_text(size_t begin, std::optional<int64_t> words) {
    const auto d = static_cast<size_t>(out_.dimension_);
    std::vector<float> vector(d);
    for (int64_t number_of_line = words ? 2 : 1; begin < text_.size(); ++number_of_line) {
      const std::string_view line = line_at(begin);
      begin += line.size() + 1;
      const size_t first = line.find_first_not_of(kBlank);
      if (first == std::string_view::npos) continue;
      ++out_.in_file_;
      const std::string word(line.substr(first, line.find_first_of(kBlank, first) - first));
      const auto blanks = static_cast<size_t>(std::count(line.begin(), line.end(), ' ') +
                                              std::count(line.begin(), line.end(), '\t'));
      if (blanks >= d && !keeps(word)) continue;
      const std::string where = concat(name_, ":", number_of_line);
      const auto fields = fields_of(line);
      GMAIL_INPUT(fields.size() > d, where, ": expected a word and ", d, " numbers, found ", fields.size(),
                  " fields");
      if (fields.size() > d + 1) continue;  // GloVe has words with blanks; no token of ours is one
      for (size_t k = 0; k < d; ++k) {
        const auto value = number<float>(fields[k + 1]);
        GMAIL_INPUT(value, where, ": expected number ", k + 1, " of ", d, ", found \"", fields[k + 1], "\"");
        vector[k] = *value;
      }
      keep(word, vector, where);
    }
    GMAIL_INPUT(!words || out_.in_file_ == *words, name_, ":1: expected ", words.value_or(0),
                " words as this line says, found ", out_.in_file_);
  }

  void read_binary(size_t at, int64_t words) {
    constexpr size_t kLongestWord = 4096;
    const auto d = static_cast<size_t>(out_.dimension_);
    std::vector<float> vector(d);
    for (; out_.in_file_ < words; ++out_.in_file_) {
      while (at < text_.size() && text_[at] == '\n') ++at;
      const size_t blank = text_.substr(at, kLongestWord).find(' ');
      const std::string where =
          blank == std::string_view::npos || text_.size() - at - blank - 1 < d * sizeof(float)
              ? concat(name_, ": byte ", at, ", vector ", out_.in_file_ + 1, " of ", words)
              : std::string();
      GMAIL_INPUT(where.empty(), where, ": expected a word, a blank and ", d, " float32, found ",
                  text_.size() - at, " bytes", blank == std::string_view::npos ? " without a blank" : "");
      const std::string word(text_.substr(at, blank));
      at += blank + 1;
      if (keeps(word)) {
        std::memcpy(vector.data(), text_.data() + at, d * sizeof(float));
        keep(word, vector, concat(name_, ": byte ", at));
      }
      at += d * sizeof(float);
    }
    const size_t more = text_.find_first_not_of('\n', std::min(at, text_.size()));
    GMAIL_INPUT(more == std::string_view::npos, name_, ": byte ", more, ": expected the end after ", words,
                " vectors, found more");
  }

  std::string name_;
  MappedFile mapped_;
  std::string_view text_;
  const std::unordered_set<std::string>& wanted_;
  WordVectors out_;
};

WordVectors WordVectors::read(const std::filesystem::path& file,
                              const std::unordered_set<std::string>& wanted) {
  return WordVectorReader(file, wanted).read();
}

std::span<const float> WordVectors::find(const std::string& word) const {
  const auto found = rows_.find(word);
  if (found == rows_.end()) return {};
  return std::span(values_).subspan(found->second, static_cast<size_t>(dimension_));
}

void WordVectors::normalise() {
  const auto d = static_cast<size_t>(dimension_);
  for (size_t begin = 0; begin < values_.size(); begin += d) {
    double square = 0;
    for (size_t k = 0; k < d; ++k) square += static_cast<double>(values_[begin + k]) * values_[begin + k];
    if (square > 0)
      for (size_t k = 0; k < d; ++k)
        values_[begin + k] = static_cast<float>(values_[begin + k] / std::sqrt(square));
  }
}

}  // namespace gmail
