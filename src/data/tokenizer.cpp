#include "data/tokenizer.h"

#include <algorithm>
#include <mutex>
#include <shared_mutex>

#include "core/parallel_for.h"
#include "data/words.h"
#include "io/utf8.h"

namespace gmail {
namespace {

constexpr std::string_view kWordEnd = "</w>";
constexpr size_t kMostCached = 1 << 18;  // words; captions of all of COCO have 30,000
constexpr size_t kLongestCached = 64;    // bytes

bool printable(int b) {
  return (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || (b >= 0xAE && b <= 0xFF);
}

// The bytes that a token's characters stand for, and a blank for "</w>".
std::string text_of(const std::string& token, bool clip) {
  static const auto kByte = [] {
    std::unordered_map<std::string, char> byte;
    for (size_t b = 0; b < 256; ++b) byte[byte_characters()[b]] = static_cast<char>(b);
    return byte;
  }();
  const bool ends = clip && token.ends_with(kWordEnd);
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

struct Tokenizer::Cache {
  struct Hash {
    using is_transparent = void;
    size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  std::shared_mutex mutex;
  std::unordered_map<std::string, std::vector<int32_t>, Hash, std::equal_to<>> words;
};

std::string_view name_of(TokenizerKind kind) { return kind == TokenizerKind::clip ? "CLIP" : "GPT-2"; }

Tokenizer::Tokenizer(TokenizerKind kind) : kind_(kind), cache_(std::make_shared<Cache>()) {}

Tokenizer::Tokenizer(std::span<const Merge> merges, TokenizerKind kind) : Tokenizer(kind) {
  const bool clip = kind == TokenizerKind::clip;
  for (const uint8_t b : byte_order()) (void)add_token(byte_characters()[b]);
  if (clip)
    for (const uint8_t b : byte_order()) (void)add_token(byte_characters()[b] + std::string(kWordEnd));
  for (const Merge& m : merges) {
    (void)add_token(m.first + m.second);
    add_merge(m, "[tokenizer]");
  }
  if (clip) (void)add_token(std::string(kStartOfText));
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
  rules_.add(a, b, id_of(merge.first + merge.second, where));
}

void Tokenizer::finish(const std::string& where) {
  const bool clip = kind_ == TokenizerKind::clip;
  for (size_t b = 0; b < 256; ++b) {
    byte_ids_[b] = id_of(byte_characters()[b], where);
    if (clip) byte_ids_[b + 256] = id_of(byte_characters()[b] + std::string(kWordEnd), where);
  }
  const bool open_clip =
      clip && ids_.contains("<start_of_text>") && !ids_.contains(std::string(kStartOfText));
  end_ = id_of(open_clip ? "<end_of_text>" : std::string(kEndOfText), where);
  start_ = clip ? id_of(open_clip ? "<start_of_text>" : std::string(kStartOfText), where) : end_;
  GMAIL_INPUT(!clip || end_ == vocab_size() - 1, where, ": \"", tokens_[static_cast<size_t>(end_)],
              "\" must have the largest id, ", vocab_size() - 1, ", found ", end_);
  for (const std::string& token : tokens_) text_.push_back(text_of(token, clip));
  text_[static_cast<size_t>(start_)].clear();
  text_[static_cast<size_t>(end_)].clear();
}

std::vector<int32_t> Tokenizer::encode_word(std::string_view word) const {
  std::vector<int32_t> ids;
  ids.reserve(word.size());
  for (const char c : word) ids.push_back(byte_ids_[static_cast<unsigned char>(c)]);
  if (kind_ == TokenizerKind::clip) ids.back() = byte_ids_[static_cast<unsigned char>(word.back()) + 256U];
  rules_.apply(ids);
  return ids;
}

void Tokenizer::append_word(std::vector<int32_t>& ids, std::string_view word) const {
  if (kind_ == TokenizerKind::clip) {
    if (word == tokens_[static_cast<size_t>(start_)]) return ids.push_back(start_);
    if (word == tokens_[static_cast<size_t>(end_)]) return ids.push_back(end_);
  }
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
  if (cache_->words.size() < kMostCached && word.size() <= kLongestCached) cache_->words.emplace(word, fresh);
}

std::vector<int32_t> Tokenizer::encode(std::string_view text) const {
  std::vector<int32_t> ids;
  if (kind_ == TokenizerKind::clip) {
    const std::string cleaned = clean_text(text);
    const std::string_view start = tokens_[static_cast<size_t>(start_)],
                           end = tokens_[static_cast<size_t>(end_)];
    for (const std::string_view word : split_words(cleaned, start, end)) append_word(ids, word);
  } else {
    const std::string clean = replace_bad_utf8(text);
    for (const std::string_view word : split_gpt2_words(clean)) append_word(ids, word);
  }
  return ids;
}

std::string Tokenizer::decode(std::span<const int32_t> ids) const {
  std::string bytes;
  for (const int32_t id : ids) {
    GMAIL_CHECK(id >= 0 && id < vocab_size(), "[tokenizer] no token ", id, ", the vocabulary has ",
                vocab_size());
    bytes += text_[static_cast<size_t>(id)];
  }
  if (kind_ == TokenizerKind::clip && bytes.ends_with(' ')) bytes.pop_back();
  return replace_bad_utf8(bytes);
}

TokenBatch Tokenizer::batch(std::span<const std::string> texts, int64_t context, TooLong too_long) const {
  GMAIL_CHECK(context >= 2, "[tokenizer] a context of ", context, " cannot hold start and end");
  const auto N = static_cast<int64_t>(texts.size());
  TokenBatch out{Tensor::empty({N, context}, DType::int32), Tensor::empty({N}, DType::int32),
                 Tensor::empty({N}, DType::int32)};
  auto *ids = out.ids.data<int32_t>(), *lengths = out.lengths.data<int32_t>(), *end = out.end.data<int32_t>();
  parallel_for(N, 64, [&](int64_t first, int64_t last) {
    for (int64_t n = first; n < last; ++n) {
      const std::vector<int32_t> text = encode(texts[static_cast<size_t>(n)]);
      const int64_t whole = static_cast<int64_t>(text.size()) + 2, length = std::min(whole, context);
      GMAIL_INPUT(whole == length || too_long == TooLong::truncate, "text ", n + 1, ": expected at most ",
                  context, " tokens with start and end, found ", whole);
      int32_t* row = ids + n * context;
      row[0] = start_;
      std::copy_n(text.begin(), length - 2, row + 1);
      row[length - 1] = end_;
      std::fill(row + length, row + context, pad_id());
      lengths[n] = static_cast<int32_t>(length);
      end[n] = lengths[n] - 1;
    }
  });
  return out;
}

}  // namespace gmail
