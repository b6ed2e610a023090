#include "eval/meteor_match.h"

#include <algorithm>
#include <span>

#include "eval/english_stemmer.h"
#include "eval/meteor_text.h"

namespace gmail {
namespace {

constexpr std::ptrdiff_t kNearest = 100;

// Of ascending places the kNearest around `at`.
std::span<const int32_t> nearest(const std::vector<int32_t>& places, int32_t at) {
  const auto count = static_cast<std::ptrdiff_t>(places.size());
  if (count <= kNearest) return places;
  const auto here = std::lower_bound(places.begin(), places.end(), at) - places.begin();
  const auto first = std::clamp(here - kNearest / 2, std::ptrdiff_t{0}, count - kNearest);
  return std::span(places).subspan(static_cast<size_t>(first), static_cast<size_t>(kNearest));
}

const std::vector<int32_t>& places_of(const std::unordered_map<int32_t, std::vector<int32_t>>& places,
                                      int32_t what) {
  static const std::vector<int32_t> kNone;
  const auto found = places.find(what);
  return found == places.end() ? kNone : found->second;
}

}  // namespace

int32_t MeteorLexicon::number_of(const std::string& word) {
  const auto [known, is_new] = numbers_.try_emplace(word, static_cast<int32_t>(entries_.size()));
  if (is_new) {
    const auto stem = stems_.try_emplace(english_stem(word), static_cast<int32_t>(stems_.size())).first;
    entries_.push_back({stem->second, is_function_word(word),
                        wordnet_ == nullptr ? std::vector<int32_t>() : wordnet_->synsets(word)});
  }
  return known->second;
}

MeteorMatcher::MeteorMatcher(const MeteorLexicon& lexicon, const ParaphraseTable& table,
                             const MeteorCaption& hypothesis)
    : lexicon_(lexicon), table_(table), hypothesis_(hypothesis) {
  for (size_t i = 0; i < hypothesis.words.size(); ++i) {
    const int32_t word = hypothesis.words[i], at = static_cast<int32_t>(i);
    words_[word].push_back(at);
    stems_[lexicon.entry(word).stem].push_back(at);
    for (const int32_t synset : lexicon.entry(word).synsets) synsets_[synset].push_back(at);
  }
  for (const PhraseAt& p : hypothesis.phrases) phrases_[p.phrase].push_back(p.begin);
}

MeteorMatches MeteorMatcher::matches(const MeteorCaption& reference) const {
  MeteorMatches all(hypothesis_.words.size(), reference.words.size());
  const bool same = hypothesis_.words == reference.words;  // then METEOR uses the exact module alone
  for (size_t j = 0; j < reference.words.size(); ++j) {
    const int32_t word = reference.words[j], at = static_cast<int32_t>(j);
    for (const int32_t i : nearest(places_of(words_, word), at))
      all.add({.reference = at, .hypothesis = i, .module = MeteorModule::exact});
    if (same) continue;
    add_words(at, places_of(stems_, lexicon_.entry(word).stem), word, MeteorModule::stem, all);
    add_synonyms(at, word, all);
  }
  if (!same) add_paraphrases(reference, all);
  return all;
}

// Those of the places where another word than `word` stands.
void MeteorMatcher::add_words(int32_t at, const std::vector<int32_t>& places, int32_t word,
                              MeteorModule module, MeteorMatches& to) const {
  for (const int32_t i : nearest(places, at))
    if (hypothesis_.words[static_cast<size_t>(i)] != word)
      to.add({.reference = at, .hypothesis = i, .module = module});
}

void MeteorMatcher::add_synonyms(int32_t at, int32_t word, MeteorMatches& to) const {
  std::vector<int32_t> places;
  for (const int32_t synset : lexicon_.entry(word).synsets)
    for (const int32_t i : nearest(places_of(synsets_, synset), at)) places.push_back(i);
  std::sort(places.begin(), places.end());
  places.erase(std::unique(places.begin(), places.end()), places.end());
  add_words(at, places, word, MeteorModule::synonym, to);
}

// First phrases of the reference whose paraphrase stands in the hypothesis, then the other way round.
void MeteorMatcher::add_paraphrases(const MeteorCaption& reference, MeteorMatches& to) const {
  for (const PhraseAt& p : reference.phrases)
    for (const int32_t other : table_.paraphrases(p.phrase))
      for (const int32_t i : nearest(places_of(phrases_, other), p.begin))
        to.add({p.begin, p.length, i, table_.length(other), MeteorModule::paraphrase});
  Places in_reference;
  for (const PhraseAt& p : reference.phrases) in_reference[p.phrase].push_back(p.begin);
  for (const PhraseAt& p : hypothesis_.phrases)
    for (const int32_t other : table_.paraphrases(p.phrase))
      for (const int32_t j : nearest(places_of(in_reference, other), p.begin))
        to.add({j, table_.length(other), p.begin, p.length, MeteorModule::paraphrase});
}

}  // namespace gmail
