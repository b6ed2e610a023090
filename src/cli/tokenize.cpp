// gmail tokenize: token ids of texts, line by line.
#include <unistd.h>

#include <array>
#include <charconv>
#include <iostream>

#include "cli/commands.h"
#include "data/tokenizer.h"
#include "io/lines.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string tokenizer, vocab;
  bool specials = false, truncate = false;
  int64_t context = 0;
};

void setup(Command& c, Options& o) {
  c.option("tokenizer", o.tokenizer, "clip or gpt2")->required()->one_of({"clip", "gpt2"});
  c.option("vocab", o.vocab,
           "vocab.json or encoder.json with merges.txt or vocab.bpe beside it, tokenizer.json, "
           "bpe_simple_vocab_16e6.txt, or a folder of these")
      ->required();
  c.flag("specials", o.specials, "add start and end: CLIP's two, or <|endoftext|> twice for gpt2");
  c.option("context", o.context,
           "ids of each text: padded to it (clip 0, gpt2 50256); a longer text is refused");
  c.flag("truncate", o.truncate,
         "with --context: a longer text is cut, its last id being the end with --specials");
}

std::vector<int32_t> ids_of(const Tokenizer& tokenizer, const std::string& text, const Options& o,
                            int64_t line) {
  std::vector<int32_t> ids = tokenizer.encode(text);
  if (o.specials) {
    ids.insert(ids.begin(), tokenizer.start_id());
    ids.push_back(tokenizer.end_id());
  }
  if (o.context == 0) return ids;
  const auto found = static_cast<int64_t>(ids.size());
  GMAIL_INPUT(found <= o.context || o.truncate, "<stdin>:", line, ": field \"text\": expected at most ",
              o.context, " tokens, found ", found, " (--truncate cuts it)");
  ids.resize(static_cast<size_t>(o.context), tokenizer.pad_id());
  if (found > o.context && o.specials) ids.back() = tokenizer.end_id();
  return ids;
}

void append_line(std::string& out, const std::vector<int32_t>& ids) {
  out += "{\"ids\":[";
  std::array<char, 12> digits{};
  for (const int32_t id : ids) {
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), id).ptr;
    out.append(digits.data(), end);
    out += ',';
  }
  if (!ids.empty()) out.pop_back();
  out += "]}\n";
}

void write(std::string& out) {
  std::cout.write(out.data(), static_cast<std::streamsize>(out.size())).flush();
  GMAIL_CHECK(std::cout.good(), "cannot write standard output");
  out.clear();
}

void run(Command&, Options& o) {
  constexpr size_t kDue = 1 << 16;  // bytes
  GMAIL_INPUT(o.context >= 0, "--context: expected 0 (any length) or more, found ", o.context);
  GMAIL_INPUT(o.context > 0 || !o.truncate, "--truncate needs --context");
  GMAIL_INPUT(o.context != 1 || !o.specials, "--context: 1 cannot hold start and end");
  const auto kind = o.tokenizer == "clip" ? TokenizerKind::clip : TokenizerKind::gpt2;
  const Tokenizer tokenizer = Tokenizer::load(o.vocab, kind);
  LineStream lines(STDIN_FILENO);
  std::string out;
  std::string_view line;
  try {
    while (lines.next(line)) {
      append_line(out,
                  ids_of(tokenizer, parse_text_line(line, "<stdin>", lines.number()), o, lines.number()));
      if (lines.waits() || out.size() >= kDue) write(out);
    }
  } catch (const InputError&) {
    write(out);  // the lines before the bad one
    throw;
  }
}

}  // namespace

void add_tokenize(Program& program) {
  program.add<Options>(program.app, "tokenize", "token ids of texts: JSON lines {\"text\"} in, {\"ids\"} out",
                       setup, run);
}

}  // namespace gmail::cli
