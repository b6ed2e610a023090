#include "data/tokenizer.h"

#include <algorithm>
#include <limits>
#include <mutex>
#include <nlohmann/json.hpp>
#include <shared_mutex>

#include "core/parallel_for.h"
#include "data/words.h"
#include "io/files.h"
#include "io/json.h"
#include "io/utf8.h"

namespace gmail {
namespace {

constexpr std::string_view kWordEnd = "</w>";
constexpr size_t kMostCached = 1 << 18;  // words; captions of all of COCO have 30,000

uint64_t key_of(int32_t a, int32_t b) {
  return static_cast<uint64_t>(static_cast<uint32_t>(a)) << 32U | static_cast<uint32_t>(b);
}

bool printable(int b) {
  return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

// The bytes that a token's characters stand for, and a blank for "</w>".
std::string text_of(const std::string& token) {
  static const auto kByte = [] {
    std::unordered_map<std::string, char> byte;
    for (size_t b = 0; b < 256; ++b) byte[byte_characters()[b]] = static_cast<char>(b);
    return byte;
  }();
  const bool ends = token.ends_with(kWordEnd);
  const std::string_view body(token.data(), token.size() - (ends ? kWordEnd.size() : 0));
  std::string out;
  for (size_t i = 0; i < body.size();) {
    const CodePoint c = code_point(body, i);
    const auto found = kByte.find(std::string(body.substr(i, c.bytes)));
    if (found != kByte.end()) out.push_back(found->second);
    i += c.bytes;
  }
  if (ends) out.push_back(' ');
  return out;
}

}  // namespace

const std::array<uint8_t, 256>& byte_order() {
  static const auto kOrder = [] {
    std::array<uint8_t, 256> order{};
    size_t n = 0;
    for (const bool first : {true, false})
      for (int b = 0; b < 256; ++b)
        if (printable(b) == first) order[n++] = static_cast<uint8_t>(b);
    return order;
  }();
  return kOrder;
}

const std::array<std::string, 256>& byte_characters() {
  static const auto kCharacters = [] {
    std::array<std::string, 256> characters;
    int32_t spare = 256;  // the bytes that do not print are written as U+0100 and on
    for (int b = 0; b < 256; ++b)
      append_code_point(characters[static_cast<size_t>(b)], printable(b) ? b : spare++);
    return characters;
  }();
  return kCharacters;
}

std::vector<Merge> parse_merges(std::string_view text, const std::string& name) {
  std::vector<Merge> merges;
  for (int64_t line = 1; !text.empty(); ++line) {
    std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (row.empty() || (line == 1 && row.find("#version") != std::string_view::npos)) continue;
    const size_t blank = row.find(' ');
    const bool two = blank != std::string_view::npos && blank > 0 && blank + 1 < row.size() &&
                     row.find(' ', blank + 1) == std::string_view::npos;
    GMAIL_INPUT(two, name, ":", line, ": expected two tokens with a blank between them, found \"",
                replace_bad_utf8(row), "\"");
    merges.emplace_back(row.substr(0, blank), row.substr(blank + 1));
  }
  return merges;
}

struct Tokenizer::Cache {
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::shared_mutex mutex;
  std::unordered_map<std::string, std::vector<int32_t>, Hash, std::equal_to<>> words;
};

Tokenizer::Tokenizer() : cache_(std::make_shared<Cache>()) {}

Tokenizer::Tokenizer(std::span<const Merge> merges) : Tokenizer() {
  for (const std::string_view end : {std::string_view(), kWordEnd})
    for (const uint8_t b : byte_order()) (void)add_token(byte_characters()[b] + std::string(end));
  for (const Merge& m : merges) {
    (void)add_token(m.first + m.second);
    add_merge(m, "[tokenizer]");
  }
  (void)add_token(std::string(kStartOfText));
  (void)add_token(std::string(kEndOfText));
  finish("[tokenizer]");
}

int32_t Tokenizer::add_token(const std::string& token) {
  const auto [at, fresh] = ids_.emplace(token, static_cast<int32_t>(tokens_.size()));
  if (fresh) tokens_.push_back(token);
  return at->second;
}

int32_t Tokenizer::id_of(const std::string& token, const std::string& where) const {
  const auto found = ids_.find(token);
  GMAIL_INPUT(found != ids_.end(), where, ": the vocabulary has no token \"", replace_bad_utf8(token), "\"");
  return found->second;
}

void Tokenizer::add_merge(const Merge& merge, const std::string& where) {
  const int32_t a = id_of(merge.first, where), b = id_of(merge.second, where);
  const auto rank = static_cast<int64_t>(merges_.size());
  rules_.emplace(key_of(a, b), Rule{rank, id_of(merge.first + merge.second, where)});
  merges_.emplace_back(a, b);
}

void Tokenizer::finish(const std::string& where) {
  for (size_t b = 0; b < 256; ++b) {
    byte_ids_[b] = id_of(byte_characters()[b], where);
    byte_ids_[b + 256] = id_of(byte_characters()[b] + std::string(kWordEnd), where);
  }
  start_ = id_of(std::string(kStartOfText), where);
  end_ = id_of(std::string(kEndOfText), where);
  GMAIL_INPUT(end_ == vocab_size() - 1, where, ": \"", kEndOfText, "\" must have the largest id, ",
              vocab_size() - 1, ", found ", end_);
  for (const std::string& token : tokens_) text_.push_back(text_of(token));
  text_[static_cast<size_t>(start_)].clear();
  text_[static_cast<size_t>(end_)].clear();
}

Tokenizer Tokenizer::load(const std::filesystem::path& folder) {
  const std::filesystem::path vocab = folder / "vocab.json", merges = folder / "merges.txt";
  const Json table = read_json(vocab);
  GMAIL_INPUT(table.is_object(), vocab.string(), ": expected an object of tokens and ids");
  Tokenizer t;
  t.tokens_.resize(table.size());
  for (const auto& [token, id] : table.items()) {
    const bool good = id.is_number_unsigned() && id.get<uint64_t>() < t.tokens_.size() &&
                      t.tokens_[id.get<size_t>()].empty() && !token.empty();
    GMAIL_INPUT(good, vocab.string(), ": token \"", token, "\": expected an id of its own below ",
                t.tokens_.size(), ", found ", describe(id));
    t.tokens_[id.get<size_t>()] = token;
    t.ids_[token] = id.get<int32_t>();
  }
  for (const Merge& m : parse_merges(read_text(merges), merges.string())) t.add_merge(m, merges.string());
  t.finish(vocab.string());
  return t;
}

void Tokenizer::save(const std::filesystem::path& folder) const {
  make_dirs(folder);
  nlohmann::ordered_json vocab = nlohmann::ordered_json::object();
  auto& entries = vocab.get_ref<nlohmann::ordered_json::object_t&>();  // push_back: no search for a duplicate
  for (size_t i = 0; i < tokens_.size(); ++i) entries.push_back({tokens_[i], i});
  std::string merges = "#version: 0.2\n";
  for (const auto& [a, b] : merges_)
    merges += tokens_[static_cast<size_t>(a)] + ' ' + tokens_[static_cast<size_t>(b)] + '\n';
  write_atomically(folder / "vocab.json", vocab.dump() + "\n");
  write_atomically(folder / "merges.txt", merges);
}

std::vector<int32_t> Tokenizer::encode_word(std::string_view word) const {
  std::vector<int32_t> ids;
  for (const char c : word) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  ids.back() = byte_ids_[static_cast<unsigned char>(word.back()) + 256U];
  while (ids.size() > 1) {
    Rule best{std::numeric_limits<int64_t>::max(), 0};
    std::pair<int32_t, int32_t> pair;
    for (size_t i = 0; i + 1 < ids.size(); ++i) {
      const auto rule = rules_.find(key_of(ids[i], ids[i + 1]));
      if (rule == rules_.end() || rule->second.rank >= best.rank) continue;
      best = rule->second;
      pair = {ids[i], ids[i + 1]};
    }
    if (best.rank == std::numeric_limits<int64_t>::max()) break;
    size_t out = 0;  // every place where the pair stands, from the left
    for (size_t i = 0; i < ids.size(); ++out) {
      const bool here = i + 1 < ids.size() && ids[i] == pair.first && ids[i + 1] == pair.second;
      ids[out] = here ? best.id : ids[i];
      i += here ? 2 : 1;
    }
    ids.resize(out);
  }
  return ids;
}

void Tokenizer::append_word(std::vector<int32_t>& ids, std::string_view word) const {
  if (word == kStartOfText) return ids.push_back(start_);
  if (word == kEndOfText) return ids.push_back(end_);
  {
    const std::shared_lock lock(cache_->mutex);
    const auto found = cache_->words.find(word);
    if (found != cache_->words.end()) {
      ids.insert(ids.end(), found->second.begin(), found->second.end());
      return;
    }
  }
  const std::vector<int32_t> fresh = encode_word(word);
  ids.insert(ids.end(), fresh.begin(), fresh.end());
  const std::unique_lock lock(cache_->mutex);
  if (cache_->words.size() < kMostCached) cache_->words.emplace(word, fresh);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  const std::string cleaned = clean_text(text);
  std::vector<int32_t> ids;
  for (const std::string_view word : split_words(cleaned)) append_word(ids, word);
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t id : ids) {
    GMAIL_CHECK(id >= 0 && id < vocab_size(), "[tokenizer] no token ", id, ", the vocabulary has ",
                vocab_size());
    bytes += text_[static_cast<size_t>(id)];
  }
  if (bytes.ends_with(' ')) bytes.pop_back();
  return replace_bad_utf8(bytes);
}

TokenBatch Tokenizer::batch(std::span<const std::string> texts, int64_t context) const {
  GMAIL_CHECK(context >= 2, "[tokenizer] a context of ", context, " cannot hold start and end");
  const auto N = static_cast<int64_t>(texts.size());
  TokenBatch out{Tensor::zeros({N, context}, DType::int32), Tensor::empty({N}, DType::int32),
                 Tensor::empty({N}, DType::int32)};
  auto *ids = out.ids.data<int32_t>(), *lengths = out.lengths.data<int32_t>(), *end = out.end.data<int32_t>();
  parallel_for(N, 64, [&](int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      const std::vector<int32_t> text = encode(texts[static_cast<size_t>(n)]);
      const int64_t length = std::min(static_cast<int64_t>(text.size()) + 2, context);
      int32_t* row = ids + n * context;
      row[0] = start_;
      std::copy_n(text.begin(), length - 2, row + 1);
      row[length - 1] = end_;
      lengths[n] = static_cast<int32_t>(length);
      end[n] = lengths[n] - 1;
    }
  });
  return out;
}

}  // namespace gmail
