#include "eval/english_stemmer.h"

#include <algorithm>
#include <array>
#include <span>

namespace gmail {
namespace {

using Text = std::string_view;

constexpr bool is_one_of(char c, Text set) { return set.find(c) != Text::npos; }
constexpr bool is_vowel(char c) { return is_one_of(c, "aeiouy"); }  // 'Y' is the y that is a consonant

struct Change {
  Text suffix, by;
};

// Whole words with a stem of their own.
constexpr std::array kExceptions = std::to_array<Change>({
    {"skis", "ski"},
    {"skies", "sky"},
    {"dying", "die"},
    {"lying", "lie"},
    {"tying", "tie"},
    {"idly", "idl"},
    {"gently", "gentl"},
    {"ugly", "ugli"},
    {"early", "earli"},
    {"only", "onli"},
    {"singly", "singl"},
    {"sky", "sky"},
    {"news", "news"},
    {"howe", "howe"},
    {"atlas", "atlas"},
    {"cosmos", "cosmos"},
    {"bias", "bias"},
    {"andes", "andes"},
});
// Words that stay as step 1a leaves them.
constexpr std::array kDone = std::to_array<Text>(
    {"inning", "outing", "canning", "herring", "earring", "proceed", "exceed", "succeed"});
constexpr std::array kPrefixes = std::to_array<Text>({"gener", "commun", "arsen"});

// Of each list the longest suffix counts: longer ones stand before those that they end in.
constexpr std::array kStep2 = std::to_array<Change>({
    {"ational", "ate"}, {"fulness", "ful"}, {"iveness", "ive"}, {"ization", "ize"}, {"ousness", "ous"},
    {"biliti", "ble"},  {"lessli", "less"}, {"tional", "tion"}, {"alism", "al"},    {"aliti", "al"},
    {"ation", "ate"},   {"entli", "ent"},   {"fulli", "ful"},   {"iviti", "ive"},   {"ousli", "ous"},
    {"abli", "able"},   {"alli", "al"},     {"anci", "ance"},   {"ator", "ate"},    {"enci", "ence"},
    {"izer", "ize"},    {"bli", "ble"},     {"ogi", "og"},      {"li", ""},
});
constexpr std::array kStep3 = std::to_array<Change>({
    {"ational", "ate"},
    {"tional", "tion"},
    {"alize", "al"},
    {"icate", "ic"},
    {"iciti", "ic"},
    {"ative", ""},
    {"ical", "ic"},
    {"ness", ""},
    {"ful", ""},
});
constexpr std::array kStep4 = std::to_array<Change>({
    {"ement", ""},
    {"able", ""},
    {"ance", ""},
    {"ence", ""},
    {"ible", ""},
    {"ment", ""},
    {"ant", ""},
    {"ate", ""},
    {"ent", ""},
    {"ion", ""},
    {"ism", ""},
    {"iti", ""},
    {"ive", ""},
    {"ize", ""},
    {"ous", ""},
    {"al", ""},
    {"er", ""},
    {"ic", ""},
});

class Word {
 public:
  explicit Word(Text word) : w_(word) {
    if (w_.front() == '\'') w_.erase(0, 1);
    for (size_t i = 0; i < w_.size(); ++i)
      if (w_[i] == 'y' && (i == 0 || is_vowel(w_[i - 1]))) w_[i] = 'Y';
    r1_ = region(0);
    for (const Text prefix : kPrefixes)
      if (w_.starts_with(prefix)) r1_ = prefix.size();
    r2_ = region(r1_);
  }

  [[nodiscard]] std::string stem() {
    step_1a();
    if (std::find(kDone.begin(), kDone.end(), w_) == kDone.end()) {
      step_1b();
      step_1c();
      step_2();
      step_3();
      step_4();
      step_5();
    }
    std::replace(w_.begin(), w_.end(), 'Y', 'y');
    return w_;
  }

 private:
  // Behind the first consonant that follows a vowel, from `at` on.
  [[nodiscard]] size_t region(size_t at) const {
    while (at < w_.size() && !is_vowel(w_[at])) ++at;
    while (at < w_.size() && is_vowel(w_[at])) ++at;
    return std::min(at + 1, w_.size());
  }
  [[nodiscard]] bool ends(Text suffix) const { return w_.ends_with(suffix); }
  // What stands before a suffix.
  [[nodiscard]] Text before(Text suffix) const { return Text(w_).substr(0, w_.size() - suffix.size()); }
  [[nodiscard]] bool in_r1(Text suffix) const { return before(suffix).size() >= r1_; }
  [[nodiscard]] bool in_r2(Text suffix) const { return before(suffix).size() >= r2_; }
  void change(Text suffix, Text by) { w_.replace(w_.size() - suffix.size(), suffix.size(), by); }

  [[nodiscard]] static bool has_vowel(Text part) { return std::any_of(part.begin(), part.end(), is_vowel); }
  [[nodiscard]] static bool ends_short(Text part) {
    const size_t n = part.size();
    if (n == 2) return is_vowel(part[0]) && !is_vowel(part[1]);
    return n > 2 && !is_vowel(part[n - 3]) && is_vowel(part[n - 2]) && !is_vowel(part[n - 1]) &&
           !is_one_of(part[n - 1], "wxY");
  }
  [[nodiscard]] const Change* longest(std::span<const Change> changes) const {
    const auto found =
        std::find_if(changes.begin(), changes.end(), [&](const Change& c) { return ends(c.suffix); });
    return found == changes.end() ? nullptr : &*found;
  }

  void step_1a() {
    for (const Text apostrophe : {"'s'", "'s", "'"})
      if (ends(apostrophe)) {
        change(apostrophe, "");
        break;
      }
    if (ends("sses")) {
      change("es", "");
    } else if (ends("ied") || ends("ies")) {
      change("xxx", w_.size() > 4 ? "i" : "ie");
    } else if (ends("s") && !ends("us") && !ends("ss") && w_.size() > 1 &&
               has_vowel(before("s").substr(0, w_.size() - 2))) {
      change("s", "");
    }
  }

  void step_1b() {
    for (const Text suffix : {"eedly", "eed"})
      if (ends(suffix)) {
        if (in_r1(suffix)) change(suffix, "ee");
        return;
      }
    for (const Text suffix : {"ingly", "edly", "ing", "ed"}) {
      if (!ends(suffix)) continue;
      if (!has_vowel(before(suffix))) return;
      change(suffix, "");
      const size_t n = w_.size();
      if (ends("at") || ends("bl") || ends("iz")) {
        w_ += 'e';
      } else if (n >= 2 && w_[n - 1] == w_[n - 2] && is_one_of(w_[n - 1], "bdfgmnprt")) {
        w_.pop_back();
      } else if (n <= r1_ && ends_short(w_)) {
        w_ += 'e';
      }
      return;
    }
  }

  void step_1c() {
    const size_t n = w_.size();
    if (n > 2 && (w_[n - 1] == 'y' || w_[n - 1] == 'Y') && !is_vowel(w_[n - 2])) w_[n - 1] = 'i';
  }

  void step_2() {
    const Change* c = longest(kStep2);
    if (c == nullptr || !in_r1(c->suffix)) return;
    const Text left = before(c->suffix);
    if (c->suffix == "ogi" && !left.ends_with('l')) return;
    if (c->suffix == "li" && (left.empty() || !is_one_of(left.back(), "cdeghkmnrt"))) return;
    change(c->suffix, c->by);
  }

  void step_3() {
    const Change* c = longest(kStep3);
    if (c == nullptr || !in_r1(c->suffix) || (c->suffix == "ative" && !in_r2(c->suffix))) return;
    change(c->suffix, c->by);
  }

  void step_4() {
    const Change* c = longest(kStep4);
    if (c == nullptr || !in_r2(c->suffix)) return;
    const Text left = before(c->suffix);
    if (c->suffix == "ion" && !left.ends_with('s') && !left.ends_with('t')) return;
    change(c->suffix, c->by);
  }

  void step_5() {
    if (ends("e")) {
      if (in_r2("e") || (in_r1("e") && !ends_short(before("e")))) w_.pop_back();
    } else if (ends("ll") && in_r2("l")) {
      w_.pop_back();
    }
  }

  std::string w_;
  size_t r1_ = 0, r2_ = 0;  // where the regions R1 and R2 begin
};

}  // namespace

std::string english_stem(std::string_view word) {
  for (const Change& c : kExceptions)
    if (word == c.suffix) return std::string(c.by);
  if (word.size() <= 2) return std::string(word);
  return Word(word).stem();
}

}  // namespace gmail
