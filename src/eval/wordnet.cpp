#include "eval/wordnet.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>

#include "core/check.h"
#include "io/files.h"
#include "io/lines.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

struct Rule {
  std::string_view ending, by;
};
// morphy(7WN), nouns, verbs, adjectives; METEOR tries them in this order whatever the word is
constexpr auto kRules = std::to_array<Rule>({
    {"s", ""},      {"ses", "s"},   {"xes", "x"},   {"zes", "z"},
    {"ches", "ch"}, {"shes", "sh"}, {"men", "man"}, {"ies", "y"},  // nouns
    {"s", ""},      {"ies", "y"},   {"es", "e"},    {"es", ""},
    {"ed", "e"},    {"ed", ""},     {"ing", "e"},   {"ing", ""},   // verbs
    {"er", ""},     {"est", ""},    {"er", "e"},    {"est", "e"},  // adjectives
});

// Debian ships WordNet 3.0 with corrections to the text, by which the offsets in part of a file have moved.
// METEOR's are Princeton's. `mark` is an offset that only Debian's file has.
struct Moved {
  std::string_view file, mark;
  int32_t begin, end, by;
};
constexpr auto kDebian = std::to_array<Moved>({
    {"index.verb", " 01904948 ", 613036, 2422967, 18},
    {"index.adj", " 03155307 ", 1681478, 9999999, 1},
});

// Calls use(fields, number of the line) for each line but those of the licence, which begin with a blank.
template <class Use>
void each_line(const std::string& text, Use&& use) {
  std::vector<std::string_view> fields;
  for_each_line(text, [&](std::string_view line, int64_t number) {
    if (line.starts_with(' ')) return;
    fields.clear();
    for (size_t at = line.find_first_not_of(" \r"); at < line.size();) {
      const size_t stop = std::min(line.find_first_of(" \r", at), line.size());
      fields.push_back(line.substr(at, stop - at));
      at = line.find_first_not_of(" \r", stop);
    }
    if (!fields.empty()) use(fields, number);
  });
}

int32_t parse_number(std::string_view field, const fs::path& file, int64_t line) {
  int32_t value = 0;
  const auto [end, error] = std::from_chars(field.data(), field.data() + field.size(), value);
  GMAIL_INPUT(error == std::errc() && end == field.data() + field.size() && value >= 0, file.string(),
              ": line ", line, ": expected a number, found \"", field, "\"");
  return value;
}

}  // namespace

WordNet::WordNet(const fs::path& folder) {
  for (const char* part : {"noun", "verb", "adj", "adv"}) {
    read_index(folder / concat("index.", part));
    read_exceptions(folder / concat(part, ".exc"));
  }
}

// lemma pos synset_cnt p_cnt [ptr_symbol...] sense_cnt tagsense_cnt synset_offset [synset_offset...]
void WordNet::read_index(const fs::path& file) {
  const std::string text = read_text(file);
  Moved moved{};
  for (const Moved& m : kDebian)
    if (file.filename() == m.file && text.find(m.mark) != std::string::npos) moved = m;
  each_line(text, [&](const std::vector<std::string_view>& fields, int64_t line) {
    if (fields[0].find('_') != std::string_view::npos) return;
    GMAIL_INPUT(fields.size() >= 6, file.string(), ": line ", line,
                ": expected a lemma, its part of speech and its synsets, found ", fields.size(), " fields");
    const auto count = static_cast<size_t>(parse_number(fields[2], file, line)),
               pointers = static_cast<size_t>(parse_number(fields[3], file, line));
    GMAIL_INPUT(fields.size() == 6 + pointers + count, file.string(), ": line ", line, ": expected ", count,
                " synsets and ", 6 + pointers + count, " fields in all, found ", fields.size());
    std::vector<int32_t>& synsets = synsets_[std::string(fields[0])];
    for (size_t i = fields.size() - count; i < fields.size(); ++i) {
      const int32_t offset = parse_number(fields[i], file, line);
      synsets.push_back(offset >= moved.begin && offset < moved.end ? offset - moved.by : offset);
    }
  });
}

// form base [base...]
void WordNet::read_exceptions(const fs::path& file) {
  each_line(read_text(file), [&](const std::vector<std::string_view>& fields, int64_t) {
    std::vector<std::string>& bases = bases_[std::string(fields[0])];
    bases.insert(bases.end(), fields.begin() + 1, fields.end());
  });
}

void WordNet::add_synsets(const std::string& lemma, std::vector<int32_t>& to) const {
  const auto found = synsets_.find(lemma);
  if (found != synsets_.end()) to.insert(to.end(), found->second.begin(), found->second.end());
}

std::vector<int32_t> WordNet::synsets(std::string_view word) const {
  std::vector<int32_t> all;
  add_synsets(std::string(word), all);
  const auto irregular = bases_.find(std::string(word));
  if (irregular != bases_.end()) {
    for (const std::string& base : irregular->second) add_synsets(base, all);
  } else if (word.size() > 2 && !word.ends_with("ss")) {
    for (const auto& [ending, by] : kRules) {
      if (!word.ends_with(ending)) continue;
      const std::string base = concat(word.substr(0, word.size() - ending.size()), by);
      if (!synsets_.contains(base)) continue;
      add_synsets(base, all);
      break;
    }
  }
  std::sort(all.begin(), all.end());
  all.erase(std::unique(all.begin(), all.end()), all.end());
  return all;
}

fs::path find_wordnet() {
  std::vector<fs::path> folders;
  if (const char* named = std::getenv("WNSEARCHDIR")) folders.emplace_back(named);
  if (const char* home = std::getenv("WNHOME")) {
    folders.push_back(fs::path(home) / "dict");
    folders.emplace_back(home);
  }
  folders.emplace_back("/usr/share/wordnet");
  for (const fs::path& folder : folders) {
    std::error_code unreadable;
    if (fs::exists(folder / "index.noun", unreadable)) return folder;
  }
  return {};
}

}  // namespace gmail
