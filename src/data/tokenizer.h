// Byte-level byte-pair encoding, CLIP's [openai/CLIP: clip/simple_tokenizer.py] and GPT-2's [openai/gpt-2:
// src/encoder.py]. A word is its UTF-8 bytes, written as GPT-2's 256 printable characters; the neighbours
// whose merge ranks lowest are joined until none is left (data/bpe.h). Bytes that are not UTF-8 are read as
// U+FFFD, as Python's decode(errors="replace").
//
//          text                   words                    vocabulary
//   clip   cleaned, lower case    end with "</w>"          bytes, bytes with "</w>", merges, start, end
//   gpt2   as it is               begin with their blank   bytes, merges, end
//
// CLIP's end is the largest id, so that a text's end is where its ids are largest. Its id 0 is a real token
// ("!"): padding is told by the lengths, never by the id. GPT-2's end, <|endoftext|>, is its start as well,
// and a text has neither unless asked for.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/tensor.h"
#include "data/bpe.h"

namespace gmail {

using Merge = std::pair<std::string, std::string>;  // two tokens, as a line of merges.txt has them

enum class TokenizerKind { clip, gpt2 };
[[nodiscard]] std::string_view name_of(TokenizerKind kind);  // "CLIP", "GPT-2"

// A text with more ids than the context holds. truncate: the first ids are kept, the last of them overwritten
// by the end, as open_clip always does and OpenAI's tokenize(truncate=True). refuse: an InputError, as
// OpenAI's tokenize without it.
enum class TooLong { truncate, refuse };

struct TokenBatch {
  Tensor ids;      // (N, context) int32: start, text, end, padding ...
  Tensor lengths;  // (N) int32: start and end included
  Tensor end;      // (N) int32: lengths - 1, where the end token stands
};

class Tokenizer {
 public:
  // The vocabulary in the order above; a merge that makes a token which is there already adds none.
  explicit Tokenizer(std::span<const Merge> merges, TokenizerKind kind = TokenizerKind::clip);
  // tokenizer_files.cpp. A folder, or one of its files; these forms, and of several the first:
  //   vocab.json or encoder.json with merges.txt or vocab.bpe   Hugging Face's and OpenAI's pairs
  //   tokenizer.json                                            Hugging Face's, if it is CLIP's or GPT-2's
  //   bpe_simple_vocab_16e6.txt (or another file of merges)     OpenAI's CLIP: its first 48,894 merges
  // The kind is the vocabulary's; with `expected`, another is refused. InputError names file and field.
  [[nodiscard]] static Tokenizer load(const std::filesystem::path& path,
                                      std::optional<TokenizerKind> expected = std::nullopt);
  // vocab.json and merges.txt
  void save(const std::filesystem::path& folder) const;

  // No start or end is added. As in CLIP, a literal "<|endoftext|>" in a text of kind clip is the end token;
  // as in GPT-2, in one of kind gpt2 it is text.
  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const;
  // clip: words with one blank between them; gpt2: the text. Start, end and other special tokens are left
  // out, bytes that are not UTF-8 become U+FFFD.
  [[nodiscard]] std::string decode(std::span<const int32_t> ids) const;
  // Each text with start and end, padded with pad_id().
  [[nodiscard]] TokenBatch batch(std::span<const std::string> texts, int64_t context,
                                 TooLong too_long = TooLong::truncate) const;

  [[nodiscard]] TokenizerKind kind() const { return kind_; }
  [[nodiscard]] int32_t start_id() const { return start_; }
  [[nodiscard]] int32_t end_id() const { return end_; }
  [[nodiscard]] int32_t pad_id() const { return kind_ == TokenizerKind::clip ? 0 : end_; }
  [[nodiscard]] int64_t vocab_size() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Cache;
  explicit Tokenizer(TokenizerKind kind);
  int32_t add_token(const std::string& token);
  [[nodiscard]] int32_t id_of(const std::string& token, const std::string& where) const;
  void add_merge(const Merge& merge, const std::string& where);
  void add_vocab(const nlohmann::json& table, const std::string& where);
  [[nodiscard]] static Tokenizer from_pair(const std::filesystem::path& vocab, const nlohmann::json& table,
                                           const std::filesystem::path& merges);
  [[nodiscard]] static Tokenizer from_merges(const std::filesystem::path& file);
  [[nodiscard]] static Tokenizer from_fast(const nlohmann::json& json, const std::string& file);
  void finish(const std::string& where);
  [[nodiscard]] std::vector<int32_t> encode_word(std::string_view word) const;
  void append_word(std::vector<int32_t>& ids, std::string_view word) const;

  TokenizerKind kind_;
  std::vector<std::string> tokens_;               // by id
  std::vector<std::string> text_;                 // by id: the bytes, and a blank after a word's end
  std::unordered_map<std::string, int32_t> ids_;  // by token
  MergeRules rules_;
  std::array<int32_t, 512> byte_ids_{};  // of each byte, then of each byte at the end of a word
  int32_t start_ = 0, end_ = 0;
  std::shared_ptr<Cache> cache_;  // words seen before
};

// The lines of merges.txt; `name` stands in the errors. The first line is skipped if it holds "#version".
[[nodiscard]] std::vector<Merge> parse_merges(std::string_view text, const std::string& name);

// The order of the vocabulary's first 256 tokens, and the character that each byte is written as.
[[nodiscard]] const std::array<uint8_t, 256>& byte_order();
[[nodiscard]] const std::array<std::string, 256>& byte_characters();

}  // namespace gmail
