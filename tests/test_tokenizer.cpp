// Protects the tokenizer: CLIP's cleaning and splitting, learned merges, round trips of any bytes, and its
// files.
#include <map>

#include "catch.h"
#include "core/rng.h"
#include "data/bpe_train.h"
#include "data/tokenizer.h"
#include "data/words.h"
#include "io/files.h"
#include "io/utf8.h"
#include "temporary.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {

using Words = std::vector<std::string>;
using Ids = std::vector<int32_t>;

Words words_of(const std::string& text) {
  const std::string cleaned = clean_text(text);
  const auto views = split_words(cleaned);
  return {views.begin(), views.end()};
}

const Words kCaptions = {"a small red cube stands on a grey floor",
                         "a red cube stands left of a small blue ball",
                         "A Large red ball!",
                         "the red cube's shadow falls on the floor",
                         "two striped balls, one behind the other",
                         "a shiny ball and a striped cube's shadow",
                         "na\xC3\xAFve caf\xC3\xA9 na\xC3\xAFve"};

// What the library does incrementally, done in the plainest way: every pair counted anew for each merge.
std::vector<Merge> plain_merges(const Words& captions, size_t merges) {
  std::map<std::vector<std::string>, int64_t> words;
  for (const std::string& caption : captions)
    for (const std::string& word : words_of(caption)) {
      std::vector<std::string> symbols;
      for (const char c : word) symbols.push_back(byte_characters()[static_cast<unsigned char>(c)]);
      symbols.back() += "</w>";
      ++words[symbols];
    }
  std::vector<Merge> out;
  while (out.size() < merges) {
    std::map<Merge, int64_t> counts;  // in lexicographic order
    for (const auto& [symbols, count] : words)
      for (size_t i = 0; i + 1 < symbols.size(); ++i) counts[{symbols[i], symbols[i + 1]}] += count;
    auto best = counts.begin();
    for (auto at = counts.begin(); at != counts.end(); ++at)
      if (at->second > best->second) best = at;
    if (best == counts.end() || best->second < 2) break;
    out.push_back(best->first);
    std::map<std::vector<std::string>, int64_t> joined;
    for (const auto& [symbols, count] : words) {
      std::vector<std::string> next;
      for (size_t i = 0; i < symbols.size(); ++i) {
        const bool here =
            i + 1 < symbols.size() && symbols[i] == out.back().first && symbols[i + 1] == out.back().second;
        next.push_back(here ? symbols[i] + symbols[i + 1] : symbols[i]);
        i += here ? 1 : 0;
      }
      joined[next] += count;
    }
    words = std::move(joined);
  }
  return out;
}

// Code points of every plane, and with `broken` bytes that are no UTF-8.
std::string random_text(uint64_t index, bool broken) {
  Rng rng(7, Purpose::test, broken ? 1 : 0, index);
  std::string text;
  for (int64_t i = rng.below(24); i >= 0; --i) {
    const int64_t kind = rng.below(6);
    if (kind == 0)
      text += "'s <|endoftext|> 't";
    else if (kind <= 2)
      text.push_back(static_cast<char>(' ' + rng.below(95)));
    else if (broken && kind == 3)
      text.push_back(static_cast<char>(rng.below(256)));
    else
      append_code_point(text,
                        static_cast<int32_t>(kind == 4 ? rng.below(0xD800) : 0xE000 + rng.below(0x102000)));
  }
  return text;
}

}  // namespace

TEST_CASE("words: cleaning and splitting as CLIP") {
  CHECK(words_of("  Two   GIRLS\n playing!!") == Words{"two", "girls", "playing", "!!"});
  CHECK(words_of("A man's dog isn't here") == Words{"a", "man", "'s", "dog", "isn", "'t", "here"});
  CHECK(words_of("you'll I'VE they'RE I'm he'd") ==
        Words{"you", "'ll", "i", "'ve", "they", "'re", "i", "'m", "he", "'d"});
  CHECK(words_of("3d render 1234") == Words{"3", "d", "render", "1", "2", "3", "4"});
  CHECK(words_of("co-op !!'s 'quoted'") == Words{"co", "-", "op", "!!'", "s", "'", "quoted", "'"});
  CHECK(words_of("\xC3\x89T\xC3\x89 \xC4\xB0 \xCE\x9F\xCE\x94\xCE\x9F\xCE\xA3") ==  // ETE with accents, I
                                                                                    // with dot, Greek
        Words{"\xC3\xA9t\xC3\xA9", "i", "\xCC\x87", "\xCE\xBF\xCE\xB4\xCE\xBF\xCF\x82"});
  CHECK(words_of("a\xC2\xA0\xE3\x80\x80"
                 "b\xE2\x80\xA9") == Words{"a", "b"});  // no-break, ideographic, paragraph
  CHECK(words_of("\xC2\xBD\xE2\x85\xA7x") ==
        Words{"\xC2\xBD", "\xE2\x85\xB7", "x"});  // one half, Roman eight: numbers
  CHECK(words_of("x<|endoftext|>!<|startoftext|>") ==
        Words{"x", "<|endoftext|>", "!<|", "startoftext", "|>"});
  CHECK(words_of("").empty());
  CHECK(words_of(" \t\n").empty());
}

TEST_CASE("utf8: bad bytes are found and replaced as Python does") {
  CHECK(find_bad_utf8("caf\xC3\xA9") == std::string_view::npos);
  CHECK(find_bad_utf8("ab\xC3") == 2);
  CHECK(find_bad_utf8("\xED\xA0\x80") == 0);      // a surrogate
  CHECK(find_bad_utf8("\xF4\x90\x80\x80") == 0);  // above U+10FFFF
  CHECK(find_bad_utf8("\xC0\x80") == 0);          // overlong
  // bytes.decode("utf-8", "replace") gives U+FFFD as often as this
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(replace_bad_utf8("a\xE2\x82z") == "a" + bad + "z");
  CHECK(replace_bad_utf8("\xF0\x9F\x98") == bad);
  CHECK(replace_bad_utf8("\xED\xA0\x80") == bad + bad + bad);
  CHECK(replace_bad_utf8("\xFF\xFE") == bad + bad);
}

TEST_CASE("tokenizer: the vocabulary is in CLIP's order, the end is the largest id") {
  const Tokenizer t = train_bpe(kCaptions, 530);
  CHECK(t.vocab_size() == 530);
  CHECK(t.start_id() == 528);
  CHECK(t.end_id() == 529);
  CHECK(train_bpe(kCaptions, 514).encode("a!~") == Ids{'a' - '!' + 256, 0, '~' - '!' + 256});
  // the 68 bytes that do not print come last, in their order: 0xA9 is the 8th of the second printable run
  CHECK(train_bpe(kCaptions, 514).encode("\xC3\xA9") == Ids{94 + 12 + (0xC3 - 0xAE), 94 + 8 + 256});
}

TEST_CASE("bpe: merges equal the plain algorithm's, whatever the order of the captions") {
  const std::vector<Merge> expected = plain_merges(kCaptions, 30);
  REQUIRE(expected.size() > 15);
  const Tokenizer plain(expected), t = train_bpe(kCaptions, 514 + static_cast<int64_t>(expected.size()));
  CHECK(t.vocab_size() == plain.vocab_size());
  const TemporaryDir dir;
  plain.save(dir / "plain");
  t.save(dir / "ours");
  train_bpe(Words(kCaptions.rbegin(), kCaptions.rend()), t.vocab_size()).save(dir / "reversed");
  for (const std::string name : {"merges.txt", "vocab.json"}) {
    CHECK(read_text(dir / "ours/" / name) == read_text(dir / "plain/" / name));
    CHECK(read_text(dir / "reversed/" / name) == read_text(dir / "plain/" / name));
  }
  const Words repeats = {"aaaaa aaaa aaa baaaa", "aaaaaaa ababab abab"};  // overlapping pairs
  train_bpe(repeats, 600).save(dir / "repeats");
  Tokenizer(plain_merges(repeats, 86)).save(dir / "repeats_plain");
  CHECK(read_text(dir / "repeats/merges.txt") == read_text(dir / "repeats_plain/merges.txt"));
}

TEST_CASE("bpe: a vocabulary too small is refused, one too large ends early") {
  CHECK_THROWS_WITH(train_bpe(kCaptions, 513),
                    "vocabulary size: expected at least 514 (512 bytes, start, end), found 513");
  CHECK(train_bpe(kCaptions, 100000).vocab_size() < 600);
  CHECK(train_bpe({}, 1000).vocab_size() == 514);
}

TEST_CASE("tokenizer: joins the lowest rank first, from the left") {
  const std::vector<Merge> merges = {{"b", "c</w>"}, {"a", "b"}, {"a", "a"}, {"aa", "a</w>"}};
  const Tokenizer t(merges);
  const int32_t bc = 512, ab = 513, aa = 514, aaa_end = 515, a = 'a' - '!', b = 'b' - '!';
  CHECK(t.encode("abc") == Ids{a, bc});
  CHECK(t.encode("abb") == Ids{ab, b + 256});
  CHECK(t.encode("aaa") == Ids{aaa_end});
  CHECK(t.encode("aaaa") == Ids{aa, a, a + 256});
  CHECK(t.decode(t.encode("abc aaa")) == "abc aaa");
}

TEST_CASE("tokenizer: saved and loaded it is the same") {
  const Tokenizer t = train_bpe(kCaptions, 540);
  const TemporaryDir dir;
  t.save(dir / "tokenizer");
  const Tokenizer loaded = Tokenizer::load(dir / "tokenizer");
  CHECK(loaded.vocab_size() == t.vocab_size());
  CHECK(loaded.end_id() == t.end_id());
  for (uint64_t i = 0; i < 50; ++i)
    CHECK(loaded.encode(random_text(i, false)) == t.encode(random_text(i, false)));
  for (const std::string& caption : kCaptions) CHECK(loaded.encode(caption) == t.encode(caption));
  CHECK(read_text(dir / "tokenizer/merges.txt").starts_with("#version: 0.2\n"));
  CHECK(read_text(dir / "tokenizer/vocab.json").starts_with("{\"!\":0,\"\\\"\":1,\"#\":2,"));
}

TEST_CASE("tokenizer: round trips of random Unicode, and of bytes that are not Unicode") {
  const Tokenizer t = train_bpe(kCaptions, 540);
  for (uint64_t i = 0; i < 400; ++i) {
    const std::string text = random_text(i, i % 2 == 1);
    std::string words;
    for (const std::string& word : words_of(text)) {
      if (word == kStartOfText || word == kEndOfText) continue;
      words += (words.empty() ? "" : " ") + word;
    }
    const Ids ids = t.encode(text);
    CHECK(t.decode(ids) == words);
    CHECK(t.encode(text) == ids);  // now from the cache
    CHECK(find_bad_utf8(t.decode(Ids(ids.begin(), ids.begin() + static_cast<int64_t>(ids.size()) / 2))) ==
          std::string_view::npos);
  }
  CHECK_THROWS_WITH(t.decode(Ids{540}), "[tokenizer] no token 540, the vocabulary has 540");
  CHECK_THROWS_WITH(t.decode(Ids{-1}), "[tokenizer] no token -1, the vocabulary has 540");
}

TEST_CASE("tokenizer: a batch has start, text, end, zeros; a long text is cut") {
  const Tokenizer t = train_bpe(kCaptions, 514);
  const Words texts = {"ab", "", "abcdef"};
  const TokenBatch batch = t.batch(texts, 5);
  REQUIRE(batch.ids.shape() == Shape{3, 5});
  const int32_t S = t.start_id(), E = t.end_id(), a = 'a' - '!';
  const Ids expected = {S, a, a + 1 + 256, E, 0, S, E, 0, 0, 0, S, a, a + 1, a + 2, E};
  CHECK(Ids(batch.ids.data<int32_t>(), batch.ids.data<int32_t>() + 15) == expected);
  CHECK(Ids(batch.lengths.data<int32_t>(), batch.lengths.data<int32_t>() + 3) == Ids{4, 2, 5});
  CHECK(Ids(batch.end.data<int32_t>(), batch.end.data<int32_t>() + 3) == Ids{3, 1, 4});
  CHECK_THROWS_WITH(t.batch(texts, 1), "[tokenizer] a context of 1 cannot hold start and end");
}

TEST_CASE("tokenizer: many threads, one answer") {
  const Tokenizer t = train_bpe(kCaptions, 540);
  Words texts;
  for (uint64_t i = 0; i < 500; ++i) texts.push_back(kCaptions[i % 5] + random_text(i, true));
  const auto batch = [&](const Tokenizer& tokenizer, int threads) {
    const Threads scope(threads);
    return tokenizer.batch(texts, 40);
  };
  const TokenBatch one = batch(train_bpe(kCaptions, 540), 1), four = batch(t, 4);
  const auto* p = one.ids.data<int32_t>();
  CHECK(std::equal(p, p + one.ids.numel(), four.ids.data<int32_t>()));
}

TEST_CASE("tokenizer: bad files are refused by name and line") {
  const TemporaryDir dir;
  const Tokenizer t = train_bpe(kCaptions, 530);
  t.save(dir.path());
  const std::string vocab = (dir / "vocab.json").string(), merges = (dir / "merges.txt").string();
  const std::string good_merges = read_text(merges), good_vocab = read_text(vocab);
  write_without_flush(merges, "#version: 0.2\ne d\nred\n");
  CHECK_THROWS_WITH(Tokenizer::load(dir.path()),
                    merges + ":3: expected two tokens with a blank between them, found \"red\"");
  write_without_flush(merges, good_merges + "q q\n");
  CHECK_THROWS_WITH(Tokenizer::load(dir.path()), merges + ": the vocabulary has no token \"qq\"");
  write_without_flush(merges, good_merges);
  write_without_flush(vocab, "{\"!\":0,\"a\":0}");
  CHECK_THROWS_WITH(Tokenizer::load(dir.path()),
                    vocab + ": token \"a\": expected an id of its own below 2, found 0");
  std::string swapped = good_vocab;
  swapped.replace(swapped.find(":528"), 4, ":529");
  swapped.replace(swapped.rfind(":529"), 4, ":528");
  write_without_flush(vocab, swapped);
  CHECK_THROWS_WITH(Tokenizer::load(dir.path()),
                    vocab + ": \"<|endoftext|>\" must have the largest id, 529, found 528");
  std::filesystem::remove(vocab);
  CHECK_THROWS_AS(Tokenizer::load(dir.path()), InputError);
}
