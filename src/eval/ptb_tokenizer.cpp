#include "eval/ptb_tokenizer.h"

#include <algorithm>
#include <array>

namespace gmail {
namespace {

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }
bool is_word(char c) {
  const auto u = static_cast<unsigned char>(c);
  return u >= 0x80 || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}
char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string escaped(char c) {
  switch (c) {
    case '(':
      return "-lrb-";
    case ')':
      return "-rrb-";
    case '[':
      return "-lsb-";
    case ']':
      return "-rsb-";
    case '{':
      return "-lcb-";
    case '}':
      return "-rcb-";
    case '"':
      return "''";
    default:
      return {c};
  }
}

// "don't" -> do n't, "it's" -> it 's
void split_contraction(const std::string& word, std::vector<std::string>& tokens) {
  constexpr std::array<std::string_view, 7> kEnds = {"n't", "'s", "'m", "'d", "'re", "'ve", "'ll"};
  for (const std::string_view end : kEnds)
    if (word.size() > end.size() && word.ends_with(end)) {
      tokens.push_back(word.substr(0, word.size() - end.size()));
      tokens.emplace_back(end);
      return;
    }
  tokens.push_back(word);
}

bool dropped(std::string_view token) {
  constexpr std::array<std::string_view, 17> kDropped = {"''",    "'",     "``", "`",   "-LRB-", "-RRB-",
                                                         "-LCB-", "-RCB-", ".",  "?",   "!",     ",",
                                                         ":",     "-",     "--", "...", ";"};
  return std::find(kDropped.begin(), kDropped.end(), token) != kDropped.end();
}

}  // namespace

std::vector<std::string> ptb_tokens(std::string_view caption, NextCaption /*next*/) {
  std::string text(caption);
  for (char& c : text) c = lower(c);
  std::vector<std::string> tokens;
  for (size_t i = 0; i < text.size();) {
    size_t end = i;
    while (end < text.size() && (is_word(text[end]) || ((text[end] == '\'' || text[end] == '-') && end > i &&
                                                        end + 1 < text.size() && is_word(text[end + 1]))))
      ++end;
    if (end > i)
      split_contraction(text.substr(i, end - i), tokens);
    else if (!is_space(text[i]))
      tokens.push_back(escaped(text[end++]));
    else
      ++end;
    i = end;
  }
  return tokens;
}

Words caption_tokens(std::string_view caption, NextCaption next) {
  Words tokens = ptb_tokens(caption, next);
  std::erase_if(tokens, dropped);
  return tokens;
}

std::vector<Words> caption_tokens_of_lines(const std::vector<std::string>& captions) {
  std::vector<Words> all;
  for (size_t i = 0; i < captions.size(); ++i)
    all.push_back(
        caption_tokens(captions[i], i + 1 < captions.size() ? NextCaption(captions[i + 1]) : NextCaption{}));
  return all;
}

}  // namespace gmail
