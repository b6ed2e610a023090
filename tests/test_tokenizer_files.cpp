// Protects the tokenizers that others made: CLIP's cleaning and GPT-2's splitting to the byte, every form of
// their files, the reference encodings of OpenAI's code (../shared/data/tokenizers), broken files.
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "catch.h"
#include "data/bpe_train.h"
#include "data/tokenizer.h"
#include "data/words.h"
#include "desk.h"
#include "fuzz.h"
#include "io/json.h"
#include "io/utf8.h"
#include "temporary.h"

using namespace gmail;
using namespace gmail::test;

namespace {

namespace fs = std::filesystem;
using Ids = std::vector<int32_t>;

const std::vector<Merge> kClipMerges = {{"t", "h"}, {"th", "e</w>"}, {"a", "b"}, {"a", "a"}, {"aa", "a</w>"}};
const std::vector<Merge> kGpt2Merges = {{"\xC4\xA0", "t"}, {"h", "e"}, {"\xC4\xA0t", "he"}, {"a", "a"}};

// tokenizer.json as Hugging Face writes it; strings: merges as "a b", not as ["a", "b"]
Json fast_file(const Tokenizer& t, const fs::path& folder, bool strings) {
  t.save(folder);
  const bool clip = t.kind() == TokenizerKind::clip;
  Json merges = Json::array();
  for (const Merge& m : parse_merges(read_text(folder / "merges.txt"), "merges"))
    merges.push_back(strings ? Json(m.first + " " + m.second) : Json{m.first, m.second});
  const Json byte_level = {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}};
  const Json split = {
      {"type", "Split"},
      {"pattern", {{"Regex", "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+"}}},
      {"behavior", "Removed"},
      {"invert", true}};
  const Json replace = {{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}};
  Json json = {{"version", "1.0"}, {"normalizer", nullptr}, {"pre_tokenizer", byte_level}};
  if (clip) {
    json["normalizer"] = {
        {"type", "Sequence"},
        {"normalizers", Json::array({{{"type", "NFC"}}, replace, {{"type", "Lowercase"}}})}};
    json["pre_tokenizer"] = {{"type", "Sequence"}, {"pretokenizers", Json::array({split, byte_level})}};
  }
  json["added_tokens"] = Json::array({{{"id", t.end_id()}, {"content", kEndOfText}, {"special", true}}});
  json["model"] = {{"type", "BPE"},
                   {"dropout", nullptr},
                   {"end_of_word_suffix", clip ? "</w>" : ""},
                   {"vocab", read_json(folder / "vocab.json")},
                   {"merges", merges}};
  return json;
}

std::string shared_folder() {
  const char* named = std::getenv("TOKENIZERS");
  const std::string folder = named != nullptr ? named : GMAIL_SOURCE_DIR "/../shared/data/tokenizers";
  return fs::exists(folder + "/clip_cases.json") ? folder : "";
}

}  // namespace

TEST_CASE("words: CLIP's cleaning is ftfy's repairs, html.unescape twice, one blank, str.lower") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"AT&amp;T &amp;amp; &ltb&gt &copy2 &notit; &amp",
       "at&t & <b> \xC2\xA9"
       "2 \xC2\xACit; &"},
      {"<&AMP;amp;amp; &EACUTE;", "<&amp; &eacute;"},  // after "<" only html.unescape works
      {"P&EACUTE;REZ &SZLIG; &NGE;", "p\xC3\xA9rez ss \xE2\x89\xB1"},
      {"&#39;&#x26;&#128;&#0;&#xD800;&#x110000;&#1;&#59 &#; &#x;",
       "'&\xE2\x82\xAC\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD; &#; &#x;"},
      {"&NotEqualTilde;&fjlig;",
       "\xE2\x89\x82\xCC\xB8"
       "fj"},  // two code points
      {"\xE2\x80\x9C"
       "A man\xE2\x80\x99s\xE2\x80\x9D \xC2\x92",
       "\"a man's\" '"},  // curly; windows-1252
      {"\xEF\xAC\x81re \xEF\xBC\xA1\xEF\xBC\x87 \xEF\xBD\xB6\xEF\xBE\x9E\xE3\x80\x80x",
       "fire a' \xE3\x82\xAC x"},
      {"cafe\xCC\x81 \xC7\x84 \xC5\x89", "caf\xC3\xA9 d\xC5\xBE 'n"},  // NFC, ligatures
      {"a\x1B[31;1mB\x1B[0m\x07"
       "c\x7F\x0B"
       "d\xEF\xBB\xBF \x1B[x\x1B[",
       "abcd ["},  // escapes, controls
      {"\xCE\x9F\xCE\xA3. \xCE\xA3\xCE\xA3' \xCE\xA3 \xCE\x91.\xCE\xA3",
       "\xCE\xBF\xCF\x82. \xCF\x83\xCF\x82' \xCF\x83 \xCE\xB1.\xCF\x82"},
      {"\xC4\xB0\xE2\x85\xA6\xE1\xBA\x9E", "i\xCC\x87\xE2\x85\xB6\xC3\x9F"},
      {" \t\r\n a \xC2\xA0\xE2\x80\x83 b\xE2\x80\xA8 ", "a b"},
      {"\xFF \xC3", "\xEF\xBF\xBD \xEF\xBF\xBD"}};
  for (const auto& [text, expected] : cases) {
    INFO(text);
    CHECK(clean_text(text) == expected);
  }
  std::string nested = "&";
  for (int i = 0; i < 5000; ++i) nested += "amp;";
  CHECK(clean_text(nested).size() ==
        nested.size() - 4 * 66);                 // not forever: 64 repairs, then html.unescape twice
  CHECK(split_words("'\xC5\xBF x'\xC5\xBFy") ==  // without case a long s is an s
        std::vector<std::string_view>{"'\xC5\xBF", "x", "'\xC5\xBF", "y"});
  CHECK(split_words("a\xCD\x85!\xCD\x85") ==
        std::vector<std::string_view>{"a", "!"});  // an iota below: see there
  CHECK(split_words("<start_of_text>a<|startoftext|>", "<start_of_text>", "<end_of_text>") ==
        std::vector<std::string_view>{"<start_of_text>", "a", "<|", "startoftext", "|>"});
}

TEST_CASE("words: GPT-2's words are all of the text") {
  const auto words = [](std::string_view text) { return split_gpt2_words(text); };
  using Views = std::vector<std::string_view>;
  CHECK(words("Hello world's  12x! ") == Views{"Hello", " world", "'s", " ", " 12", "x", "!", " "});
  CHECK(words("I'LL we'll 's") == Views{"I", "'", "LL", " we", "'ll", " '", "s"});
  CHECK(words("a\n\n b\n c\t\td") == Views{"a", "\n\n", " b", "\n", " c", "\t", "\t", "d"});
  CHECK(words("a   ") == Views{"a", "   "});
  CHECK(words("a\xC2\xA0\xC2\xA0"
              "b\xE2\x85\xA7") == Views{"a", "\xC2\xA0", "\xC2\xA0", "b", "\xE2\x85\xA7"});
  CHECK(words("").empty());
}

TEST_CASE("tokenizer: GPT-2's vocabulary, specials and text") {
  const Tokenizer t(kGpt2Merges, TokenizerKind::gpt2);
  REQUIRE(t.vocab_size() == 261);
  CHECK(t.end_id() == 260);
  CHECK(t.start_id() == 260);
  CHECK(t.pad_id() == 260);
  CHECK(t.encode("the the") == Ids{'t' - '!', 257, 258});
  CHECK(t.encode("<|endoftext|>").size() == 13);  // as any text: "<", "|", "e" ...
  CHECK(t.encode("").empty());
  for (const std::string text : {" a  The\n\n b  ", "caf\xC3\xA9 \xF0\x9F\x98\x80", "<|endoftext|>"})
    CHECK(t.decode(t.encode(text)) == text);
  CHECK(t.decode(t.encode("a\xFF")) == "a\xEF\xBF\xBD");
  CHECK(t.decode(Ids{260, 258, 260}) == " the");  // no byte marks, no specials
  const TokenBatch batch = t.batch(std::vector<std::string>{"the"}, 5);
  CHECK(Ids(batch.ids.data<int32_t>(), batch.ids.data<int32_t>() + 5) == Ids{260, 't' - '!', 257, 260, 260});
}

TEST_CASE("tokenizer: a text too long is cut or refused") {
  const Tokenizer t(kClipMerges);
  const std::vector<std::string> texts = {"a", "bcd"};
  const TokenBatch cut = t.batch(texts, 4), whole = t.batch(texts, 5, TooLong::refuse);
  const auto* ids = cut.ids.data<int32_t>();
  CHECK(Ids(ids, ids + 8) == Ids{517, 320, 518, 0, 517, 65, 66, 518});
  CHECK(whole.lengths.data<int32_t>()[1] == 5);
  CHECK_THROWS_WITH(t.batch(texts, 4, TooLong::refuse),
                    "text 2: expected at most 4 tokens with start and end, found 5");
}

TEST_CASE("tokenizer: every form of its files gives the same ids") {
  const TemporaryDir dir;
  const std::vector<std::string> texts = {"The the aaa aaaa ab's 12", "caf\xC3\xA9 <|endoftext|>", ""};
  const auto write = [&](const std::string& name, const std::string& text) {
    make_dirs((dir / name).parent_path());
    write_without_flush(dir / name, text);
  };
  for (const TokenizerKind kind : {TokenizerKind::clip, TokenizerKind::gpt2}) {
    const bool clip = kind == TokenizerKind::clip;
    const std::string k = clip ? "clip/" : "gpt2/";
    const Tokenizer t(clip ? kClipMerges : kGpt2Merges, kind);
    const Json lists = fast_file(t, dir / (k + "pair"), false),
               strings = fast_file(t, dir / (k + "pair"), true);
    const std::string vocab = read_text(dir / (k + "pair/vocab.json")),
                      merges = read_text(dir / (k + "pair/merges.txt"));
    write(k + "lists/tokenizer.json", lists.dump());
    write(k + "strings/tokenizer.json", strings.dump());
    write(k + "openai/encoder.json", vocab);
    write(k + "openai/vocab.bpe", merges);
    write(k + "ranks/bpe_simple_vocab_16e6.txt",
          "\"bpe_simple_vocab_16e6.txt#version: 0.2\r\n" + merges.substr(14));
    std::vector<std::string> forms = {"pair",
                                      "pair/vocab.json",
                                      "pair/merges.txt",
                                      "lists",
                                      "strings/tokenizer.json",
                                      "openai/encoder.json",
                                      "openai/vocab.bpe",
                                      "ranks/bpe_simple_vocab_16e6.txt"};
    if (!clip) forms.emplace_back("openai");
    if (clip) forms.emplace_back("ranks");
    for (const std::string& form : forms) {
      INFO(k + form);
      const Tokenizer read = Tokenizer::load(dir / (k + form), kind);
      CHECK(read.vocab_size() == t.vocab_size());
      for (const std::string& text : texts) {
        CHECK(read.encode(text) == t.encode(text));
        CHECK(read.decode(read.encode(text)) == t.decode(t.encode(text)));
      }
    }
    CHECK(Tokenizer::load(dir / (k + "lists")).kind() == kind);
  }
  std::string spelt = read_text(dir / "clip/pair/vocab.json");  // open_clip's spelling
  spelt.replace(spelt.find("<|startoftext|>"), 15, "<start_of_text>");
  spelt.replace(spelt.find("<|endoftext|>"), 13, "<end_of_text>");
  write("clip/pair/vocab.json", spelt);
  const Tokenizer open = Tokenizer::load(dir / "clip/pair");
  CHECK(open.encode("<end_of_text>") == Ids{open.end_id()});
  CHECK(open.encode("<|endoftext|>").size() > 1);
}

TEST_CASE("tokenizer: files of another kind, form or model are refused by name") {
  const TemporaryDir dir;
  const Tokenizer t(kClipMerges);
  const std::string file = (dir / "tokenizer.json").string();
  const Json good = fast_file(t, dir / "pair", true);
  const auto refused = [&](const char* pointer, const Json& value, const std::string& message) {
    Json json = good;
    json[Json::json_pointer(pointer)] = value;
    write_without_flush(file, json.dump());
    CHECK_THROWS_WITH(Tokenizer::load(file), file + message);
  };
  refused("/pre_tokenizer", {{"type", "Whitespace"}},
          ": field \"pre_tokenizer\": expected CLIP's, Sequence(Split, ByteLevel), or GPT-2's, ByteLevel "
          "without a "
          "blank put before, found Whitespace");
  refused("/normalizer/normalizers/0/type", "NFD",
          ": field \"normalizer\": expected CLIP's, Sequence(NFC, Replace, Lowercase), found Sequence(NFD, "
          "Replace of "
          "{\"Regex\":\"\\\\s+\"}, Lowercase)");
  refused("/model/type", "WordPiece", ": field \"model.type\": expected \"BPE\", found \"WordPiece\"");
  refused("/model/merges/1", "the", ": field \"model.merges[1]\": expected two tokens, found \"the\"");
  refused("/added_tokens/0/special", false,
          ": added token \"<|endoftext|>\": expected only special ones, which no text holds, found false");
  refused("/added_tokens/0/id", 7, ": added token \"<|endoftext|>\": expected the id 518, found 7");
  CHECK_THROWS_WITH(Tokenizer::load(dir / "pair", TokenizerKind::gpt2),
                    (dir / "pair/vocab.json").string() + ": expected GPT-2's vocabulary, found CLIP's");
  std::filesystem::remove(dir / "pair/merges.txt");
  CHECK_THROWS_WITH(Tokenizer::load(dir / "pair"),
                    Contains("tokenizer.json or bpe_simple_vocab_16e6.txt, found vocab.json alone"));
  CHECK_THROWS_WITH(Tokenizer::load(dir / "pair/vocab.json"),
                    Contains("no merges.txt or vocab.bpe beside it"));
  write_without_flush(dir / "pair/bpe_simple_vocab_16e6.txt.gz", "\x1F\x8B\x08");
  CHECK_THROWS_WITH(Tokenizer::load(dir / "pair"), Contains("is compressed: unpack it first (gunzip -k"));
  CHECK_THROWS_WITH(Tokenizer::load(dir / "none"), Contains("cannot read") && Contains("none"));
}

TEST_CASE("tokenizer: mutated files and any bytes are read or refused, never worse") {
  const TemporaryDir dir;
  const int64_t rounds = fuzz_rounds(150);
  for (const TokenizerKind kind : {TokenizerKind::clip, TokenizerKind::gpt2}) {
    const Tokenizer t(kind == TokenizerKind::clip ? kClipMerges : kGpt2Merges, kind);
    const std::string fast = fast_file(t, dir.path(), true).dump();
    const std::string vocab = read_text(dir / "vocab.json"), merges = read_text(dir / "merges.txt");
    std::string any;
    for (int i = 0; i < 256; ++i) any += concat(static_cast<char>(i), "the &amp; ");
    Rng rng(3, Purpose::test);
    const auto use = [&](const fs::path& path) {
      const Tokenizer read = Tokenizer::load(path);
      (void)read.decode(read.encode("the <|endoftext|> aaaa\xFF&am"));
    };
    for (const auto& [name, good] : {std::pair("vocab.json", vocab), std::pair("merges.txt", merges),
                                     std::pair("tokenizer.json", fast), std::pair("ranks.txt", merges)}) {
      const int64_t refused = count_refused(good, good.size(), rounds, [&](const std::string& bytes) {
        write_without_flush(dir / name, bytes);
        use(dir / name);
      });
      INFO(name << ": " << refused << " of " << rounds << " refused");
      CHECK(refused > 0);
      write_without_flush(dir / name, good);
    }
    for (int64_t i = 0; i < rounds; ++i) {
      const std::string text = mutated(any, any.size(), rng, "&#;<'\xCE\xA3\x1B[\xEF\xBC");
      const Ids ids = t.encode(text);
      CHECK(find_bad_utf8(t.decode(ids)) == std::string_view::npos);
      if (kind == TokenizerKind::gpt2) CHECK(t.decode(ids) == replace_bad_utf8(text));
    }
  }
}

TEST_CASE("tokenizer: the reference encodings of OpenAI's code") {
  const std::string folder = shared_folder();
  if (folder.empty()) {
    WARN("skipped: no reference encodings; name their folder in TOKENIZERS");
    return;
  }
  const TemporaryDir dir;
  const std::string packed = folder + "/bpe_simple_vocab_16e6.txt.gz", ranks = (dir / "ranks.txt").string();
  REQUIRE(std::system(("gunzip -c '" + packed + "' >'" + ranks + "'").c_str()) == 0);
  for (const TokenizerKind kind : {TokenizerKind::clip, TokenizerKind::gpt2}) {
    const bool clip = kind == TokenizerKind::clip;
    const Tokenizer t = Tokenizer::load(clip ? ranks : folder, kind);
    CHECK(t.vocab_size() == (clip ? 49408 : 50257));
    CHECK(t.end_id() == t.vocab_size() - 1);
    const Json cases = read_json(folder + (clip ? "/clip_cases.json" : "/gpt2_cases.json"));
    CHECK(cases.size() == 300);
    for (const Json& c : cases) {
      const auto text = c.at("text").get<std::string>();
      INFO(text);
      const Ids ids = t.encode(text);
      CHECK(ids == c.at("ids").get<Ids>());
      CHECK((clip || t.decode(ids) == text));
    }
  }
}

TEST_CASE("cli: tokenize reads JSON lines and prints ids") {
  const Desk desk;
  Tokenizer(kClipMerges).save(desk.dir / "clip");
  Tokenizer(kGpt2Merges, TokenizerKind::gpt2).save(desk.dir / "gpt2");
  desk.write("texts.jsonl", "{\"text\": \"The ab\"}\n{\"text\": \"\"}\r\n{\"text\": \"a\"}");
  const auto tokenize = [](const std::string& kind, const std::string& flags,
                           const std::string& file = "texts.jsonl") {
    return "tokenize --tokenizer " + kind + " --vocab " + kind + " " + flags + " <" + file;
  };
  CHECK(desk.ok(tokenize("clip", "")) == "{\"ids\":[513,64,321]}\n{\"ids\":[]}\n{\"ids\":[320]}\n");
  CHECK(desk.ok(tokenize("gpt2", "--specials")) ==
        "{\"ids\":[260,51,257,220,64,65,260]}\n{\"ids\":[260,260]}\n{\"ids\":[260,64,260]}\n");
  CHECK(desk.ok(tokenize("clip", "--specials --context 4 --truncate")) ==
        "{\"ids\":[517,513,64,518]}\n{\"ids\":[517,518,0,0]}\n{\"ids\":[517,320,518,0]}\n");
  desk.refused(tokenize("clip", "--specials --context 4"),
               {"<stdin>:1", "at most 4 tokens, found 5", "--truncate"});
  desk.write("bad.jsonl", "{\"text\": \"a\"}\n{\"txt\": 1}\n");
  desk.refused(tokenize("clip", "", "bad.jsonl"), {"<stdin>:2: field \"text\""});
  CHECK(read_text(desk.dir / "out.txt") == "{\"ids\":[320]}\n");
  desk.write("bytes.jsonl", "{\"text\": \"a\xFF\"}\n");
  desk.refused(tokenize("clip", "", "bytes.jsonl"), {"<stdin>:1: not valid UTF-8 at column 12"});
  desk.refused("tokenize --tokenizer clip --vocab gpt2 </dev/null", {"gpt2/vocab.json: expected CLIP's"});
  desk.refused(tokenize("clip", "--truncate"), {"--truncate needs --context"});
}
