#include "eval/meteor_paraphrases.h"

#include <algorithm>
#include <charconv>
#include <string_view>

#include "core/check.h"
#include "io/files.h"

namespace gmail {
namespace {

constexpr size_t kLongest = 7;  // words of a phrase in the published table

// Calls use(first word, number of words, text) for every phrase of a caption, by place, shorter ones first.
template <class Use>
void each_phrase(const Words& caption, size_t longest, Use&& use) {
  std::string text;
  for (size_t i = 0; i < caption.size(); ++i) {
    text.clear();
    for (size_t n = 1; n <= longest && i + n <= caption.size(); ++n) {
      if (n > 1) text += ' ';
      text += caption[i + n - 1];
      use(i, n, text);
    }
  }
}

// "Is this phrase in one of the captions?" It says yes of all that are and of few others.
class Sieve {
 public:
  explicit Sieve(const std::vector<Words>& captions) : bits_(size_t{1} << 26) {
    for (const Words& caption : captions)
      each_phrase(caption, kLongest,
                  [&](size_t, size_t, const std::string& text) { bits_[place(text)] = true; });
  }
  [[nodiscard]] bool holds(std::string_view phrase) const { return bits_[place(phrase)]; }

 private:
  [[nodiscard]] size_t place(std::string_view phrase) const {
    return std::hash<std::string_view>()(phrase) % bits_.size();
  }
  std::vector<bool> bits_;
};

std::string_view next_line(std::string_view& text) {
  const size_t end = std::min(text.find('\n'), text.size());
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return line.ends_with('\r') ? line.substr(0, line.size() - 1) : line;
}

bool is_weight(std::string_view line) {
  double value = 0;
  const auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), value);
  return error == std::errc() && end == line.data() + line.size() && value >= 0;  // some are above 1
}

}  // namespace

ParaphraseTable::ParaphraseTable(const std::filesystem::path& file, const std::vector<Words>& captions) {
  const MappedFile mapped(file);
  std::string_view text(reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size());
  GMAIL_INPUT(!text.starts_with("\x1F\x8B"), file.string(), ": is compressed: unpack it first (gunzip -k ",
              file.string(), ")");
  const Sieve sieve(captions);
  for (int64_t line = 1; !text.empty(); line += 3) {
    const std::string_view probability = next_line(text);
    GMAIL_INPUT(is_weight(probability), file.string(), ": line ", line,
                ": expected a probability, then a phrase and its paraphrase, found \"",
                probability.substr(0, 40), "\"");
    const std::string_view phrase = next_line(text), paraphrase = next_line(text);
    GMAIL_INPUT(!phrase.empty() && !paraphrase.empty(), file.string(), ": line ", line + 1,
                ": expected a phrase and its paraphrase, found ",
                phrase.empty() ? "no phrase" : "a phrase only");
    if (!sieve.holds(phrase) || !sieve.holds(paraphrase)) continue;
    const int32_t from = number_of(phrase), to = number_of(paraphrase);
    phrases_[static_cast<size_t>(from)].paraphrases.push_back(to);
  }
}

int32_t ParaphraseTable::number_of(std::string_view phrase) {
  const auto [entry, is_new] =
      numbers_.try_emplace(std::string(phrase), static_cast<int32_t>(phrases_.size()));
  if (is_new) {
    const auto length = std::count(phrase.begin(), phrase.end(), ' ') + 1;
    phrases_.push_back({static_cast<int32_t>(length), {}});
    longest_ = std::max(longest_, static_cast<size_t>(length));
  }
  return entry->second;
}

std::vector<PhraseAt> ParaphraseTable::find(const Words& caption) const {
  std::vector<PhraseAt> found;
  each_phrase(caption, longest_, [&](size_t i, size_t n, const std::string& text) {
    const auto entry = numbers_.find(text);
    if (entry != numbers_.end())
      found.push_back({static_cast<int32_t>(i), static_cast<int32_t>(n), entry->second});
  });
  return found;
}

}  // namespace gmail
