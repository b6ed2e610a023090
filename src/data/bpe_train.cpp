#include "data/bpe_train.h"

#include <algorithm>
#include <map>
#include <set>
#include <tuple>
#include <unordered_map>

#include "data/words.h"

namespace gmail {
namespace {

using IdPair = std::pair<int32_t, int32_t>;

struct Word {
  std::vector<int32_t> ids;
  int64_t count = 0;
};

class Trainer {
 public:
  explicit Trainer(const std::map<std::string, int64_t, std::less<>>& counts) : queue_(Order{&tokens_}) {
    std::array<int32_t, 256> id_of_byte{};
    for (const std::string_view end : {"", "</w>"})
      for (const uint8_t b : byte_order()) {
        if (end.empty()) id_of_byte[b] = static_cast<int32_t>(tokens_.size());
        add_token(byte_characters()[b] + std::string(end));
      }
    for (const auto& [word, count] : counts) {
      Word w{{}, count};
      for (const char c : word) w.ids.push_back(id_of_byte[static_cast<unsigned char>(c)]);
      w.ids.back() += 256;
      words_.push_back(std::move(w));
    }
    Changes changes;
    for (size_t i = 0; i < words_.size(); ++i) count_pairs(i, 1, kAny, changes);
    apply(changes);
  }

  // false when no pair occurs twice
  bool merge_best() {
    if (queue_.empty() || queue_.begin()->count < 2) return false;
    const IdPair pair = queue_.begin()->pair;
    merges_.emplace_back(token(pair.first), token(pair.second));
    const int32_t id = add_token(token(pair.first) + token(pair.second));
    std::vector<size_t> where = std::move(pairs_[pair].words);
    std::sort(where.begin(), where.end());
    where.erase(std::unique(where.begin(), where.end()), where.end());
    Changes changes;
    for (const size_t w : where) {
      count_pairs(w, -1, kNone, changes);
      replace(words_[w].ids, pair, id);
      count_pairs(w, 1, id, changes);
    }
    apply(changes);
    return true;
  }

  [[nodiscard]] int64_t tokens() const { return static_cast<int64_t>(tokens_.size()); }
  [[nodiscard]] const std::vector<Merge>& merges() const { return merges_; }

 private:
  static constexpr int32_t kAny = -1, kNone = -2;
  struct Candidate {
    int64_t count;
    IdPair pair;
  };
  struct Order {
    const std::vector<std::string>* tokens;
    bool operator()(const Candidate& a, const Candidate& b) const {
      if (a.count != b.count) return a.count > b.count;
      const auto text = [&](int32_t id) -> const std::string& { return (*tokens)[static_cast<size_t>(id)]; };
      return std::tie(text(a.pair.first), text(a.pair.second)) <
             std::tie(text(b.pair.first), text(b.pair.second));
    }
  };
  struct PairHash {
    size_t operator()(const IdPair& p) const {
      const uint64_t key = static_cast<uint64_t>(p.first) << 32U | static_cast<uint64_t>(p.second);
      return static_cast<size_t>(key * 0x9E3779B97F4A7C15U >> 16U);
    }
  };
  struct Seen {
    int64_t count = 0;
    std::vector<size_t> words;  // where it stands, or stood once
  };
  using Changes = std::unordered_map<IdPair, int64_t, PairHash>;

  [[nodiscard]] const std::string& token(int32_t id) const { return tokens_[static_cast<size_t>(id)]; }

  int32_t add_token(const std::string& text) {
    const auto [at, fresh] = ids_.emplace(text, static_cast<int32_t>(tokens_.size()));
    if (fresh) tokens_.push_back(text);
    return at->second;
  }

  // Adds sign * (the word's count) for each pair of its neighbours; notes the word at the pairs that hold
  // `id`.
  void count_pairs(size_t w, int64_t sign, int32_t id, Changes& changes) {
    const Word& word = words_[w];
    for (size_t i = 0; i + 1 < word.ids.size(); ++i) {
      const IdPair pair{word.ids[i], word.ids[i + 1]};
      changes[pair] += sign * word.count;
      if (id == kAny || pair.first == id || pair.second == id) pairs_[pair].words.push_back(w);
    }
  }

  static void replace(std::vector<int32_t>& ids, const IdPair& pair, int32_t id) {
    size_t out = 0;
    for (size_t i = 0; i < ids.size(); ++out) {
      const bool here = i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second;
      ids[out] = here ? id : ids[i];
      i += here ? 2 : 1;
    }
    ids.resize(out);
  }

  void apply(const Changes& changes) {
    for (const auto& [pair, change] : changes) {
      if (change == 0) continue;
      Seen& seen = pairs_[pair];
      queue_.erase({seen.count, pair});
      seen.count += change;
      if (seen.count > 0) queue_.insert({seen.count, pair});
    }
  }

  std::vector<std::string> tokens_;
  std::unordered_map<std::string, int32_t> ids_;
  std::vector<Word> words_;
  std::unordered_map<IdPair, Seen, PairHash> pairs_;
  std::set<Candidate, Order> queue_;  // the next merge first
  std::vector<Merge> merges_;
};

}  // namespace

Tokenizer train_bpe(std::span<const std::string> captions, int64_t vocab_size) {
  GMAIL_INPUT(vocab_size >= 514, "vocabulary size: expected at least 514 (512 bytes, start, end), found ",
              vocab_size);
  std::map<std::string, int64_t, std::less<>> counts;
  for (const std::string& caption : captions) {
    const std::string cleaned = clean_text(caption);
    for (const std::string_view word : split_words(cleaned)) {
      if (word == kStartOfText || word == kEndOfText) continue;
      const auto at = counts.find(word);
      if (at != counts.end())
        ++at->second;
      else
        counts.emplace(word, 1);
    }
  }
  Trainer trainer(counts);
  while (trainer.tokens() + 2 < vocab_size && trainer.merge_best()) {
  }
  return Tokenizer(trainer.merges());
}

}  // namespace gmail
