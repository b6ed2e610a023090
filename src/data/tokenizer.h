// Byte-level byte-pair encoding in CLIP's form [openai/CLIP: clip/simple_tokenizer.py; Sennrich et al. 2016,
// arXiv:1508.07909]. A word is its UTF-8 bytes, written as GPT-2's 256 printable characters, the last one
// with "</w>"; the neighbours whose merge ranks lowest are joined until none is left. Vocabulary: 256 byte
// characters, the same with "</w>", the merges in order, <|startoftext|>, <|endoftext|>. The end is the
// largest id, so that a text's end is where its ids are largest. Id 0 is a real token ("!"): padding is told
// by the lengths, never by the id.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "core/tensor.h"

namespace gmail {

using Merge = std::pair<std::string, std::string>;  // two tokens, as a line of merges.txt has them

struct TokenBatch {
  Tensor ids;      // (N, context) int32: start, text, end, 0 ...
  Tensor lengths;  // (N) int32: start and end included
  Tensor end;      // (N) int32: lengths - 1, where the end token stands
};

class Tokenizer {
 public:
  // The vocabulary in the order above; a merge that makes a token which is there already adds none.
  explicit Tokenizer(std::span<const Merge> merges);
  // Hugging Face's two files, vocab.json and merges.txt.
  [[nodiscard]] static Tokenizer load(const std::filesystem::path& folder);
  void save(const std::filesystem::path& folder) const;

  // No start or end is added. As in CLIP, a literal "<|endoftext|>" in the text is the end token.
  [[nodiscard]] std::vector<int32_t> encode(std::string_view text) const;
  // Words with one blank between them; start and end are left out, bytes that are not UTF-8 become U+FFFD.
  [[nodiscard]] std::string decode(std::span<const int32_t> ids) const;
  // A text too long keeps its first `context` ids, the last of them overwritten by the end.
  [[nodiscard]] TokenBatch batch(std::span<const std::string> texts, int64_t context) const;

  [[nodiscard]] int32_t start_id() const { return start_; }
  [[nodiscard]] int32_t end_id() const { return end_; }
  [[nodiscard]] int64_t vocab_size() const { return static_cast<int64_t>(tokens_.size()); }

 private:
  struct Rule {
    int64_t rank = 0;
    int32_t id = 0;
  };
  struct Cache;
  Tokenizer();
  int32_t add_token(const std::string& token);
  [[nodiscard]] int32_t id_of(const std::string& token, const std::string& where) const;
  void add_merge(const Merge& merge, const std::string& where);
  void finish(const std::string& where);
  [[nodiscard]] std::vector<int32_t> encode_word(std::string_view word) const;
  void append_word(std::vector<int32_t>& ids, std::string_view word) const;

  std::vector<std::string> tokens_;                  // by id
  std::vector<std::string> text_;                    // by id: the bytes, and a blank after a word's end
  std::unordered_map<std::string, int32_t> ids_;     // by token
  std::vector<std::pair<int32_t, int32_t>> merges_;  // in order
  std::unordered_map<uint64_t, Rule> rules_;         // by the two ids
  std::array<int32_t, 512> byte_ids_{};              // of each byte, then of each byte at the end of a word
  int32_t start_ = 0, end_ = 0;
  std::shared_ptr<Cache> cache_;  // words seen before
};

// The lines of merges.txt; `name` stands in the errors. The first line is skipped if it holds "#version".
[[nodiscard]] std::vector<Merge> parse_merges(std::string_view text, const std::string& name);

// The order of the vocabulary's first 256 tokens, and the character that each byte is written as.
[[nodiscard]] const std::array<uint8_t, 256>& byte_order();
[[nodiscard]] const std::array<std::string, 256>& byte_characters();

}  // namespace gmail
