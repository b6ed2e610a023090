// Protects METEOR: the scores of the reference program, its normaliser, alignments and chunks counted by
// hand, synonyms and paraphrases from small files, the corpus score, captions of any kind and length.
#include "catch.h"

#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "eval/meteor.h"
#include "eval/meteor_text.h"
#include "io/json.h"
#include "temporary.h"
#include "words.h"

using namespace gmail;
using namespace gmail::test;

namespace {

namespace fs = std::filesystem;

CaptionedImage image(const std::string& hypothesis, const std::vector<std::string>& references) {
  CaptionedImage i{caption_words(hypothesis), {}};
  for (const std::string& r : references) i.references.push_back(caption_words(r));
  return i;
}

double score(const Meteor& meteor, const std::string& hypothesis, const std::string& reference) {
  return meteor.score({image(hypothesis, {reference})}).each[0];
}

// eq. (2) and (3)
double formula(double p, double r, double chunks, double matched) {
  return p * r / (0.85 * p + 0.15 * r) * (1 - 0.6 * std::pow(chunks / matched, 0.2));
}

// "dog" and "hound" share a synset, so do "man" and "guy"; "ride" and "drive", too; "entity" (a noun) and
// "breathe" (a verb) only share an offset.
void write_wordnet(const fs::path& folder) {
  const auto write = [&](const char* name, const std::string& text) { std::ofstream(folder / name) << text; };
  write("index.noun",
        "  1 This line and all that begin with a blank are the licence  \n"
        "dog n 2 3 @ ~ #m 2 1 02084071 10114209  \n"
        "entity n 1 1 ~ 1 1 00001740  \n"
        "guy n 1 1 @ 1 1 10153414  \nhot_dog n 1 0 1 0 02084071  \n"
        "hound n 1 1 @ 1 1 02084071  \nman n 1 1 @ 1 1 10153414  \n");
  write("index.verb",
        "breathe v 1 1 ~ 1 1 00001740  \ndrive v 1 1 @ 1 1 01930874  \nride v 1 1 @ 1 1 01930874  \n");
  write("index.adj", "big a 1 0 1 0 01382086  \nlarge a 1 0 1 0 01382086  \n");
  write("index.adv", "");
  write("noun.exc", "men man\n");
  write("verb.exc", "drove drive\nridden ride\n");
  write("adj.exc", "bigger big\n");
  write("adv.exc", "");
}

fs::path coco() { return fs::path(GMAIL_SOURCE_DIR) / "../shared/data/coco-caption"; }

}  // namespace

TEST_CASE("meteor: the scores of the reference program") {
  if (!fs::exists(coco() / "scores_fakecap126.json")) {
    WARN("skipped: no " << coco().string());
    return;
  }
  if (find_wordnet().empty()) {
    WARN("skipped: no WordNet (package wordnet-base)");
    return;
  }
  const Json scores = read_json(coco() / "scores_fakecap126.json");
  const Json tokens = read_json(coco() / "tokenized.json")["fakecap126"];
  std::vector<CaptionedImage> images;
  std::vector<double> expected;
  for (const auto& [id, hypothesis] : tokens["results"].items()) {
    images.push_back(image(hypothesis, tokens["references"][id]));
    expected.push_back(scores["per_image"][id]["METEOR_exact_stem_synonym"]);
  }
  REQUIRE(images.size() == 126);
  const Meteor meteor({.wordnet = find_wordnet()});
  CHECK(meteor.name() == "METEOR_exact_stem_synonym");
  const CaptionScore found = meteor.score(images);
  CHECK(std::abs(found.mean - scores["overall"]["METEOR_exact_stem_synonym"].get<double>()) <= 1e-9);
  for (size_t i = 0; i < expected.size(); ++i) CHECK(std::abs(found.each[i] - expected[i]) <= 1e-9);
}

TEST_CASE("meteor: the normaliser") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"a man's half-eaten u.s. pizza", "a man 's half eaten us pizza"},
      {"1,000 dogs , two cats...", "1,000 dogs , two cats ..."},
      {"jack-o-lantern x,y,z", "jack o-lantern x , y,z"},  // a neighbour is used once
      {"ky.", "ky ."},
      {"mr. x vs. rev.", "mr. x vs. rev."},
      {"pp. 5 no. 5", "pp. 5 no . 5"},
      {"do n't the 1990's 'tis", "do n 't the 1990 's ' tis"},
      {"`` so '' -- a\xE2\x80\x99s \xE2\x80\x93 50% (b)", "\" so \" - a 's - 50 % ( b )"},
      {"a\xC2\xA0"
       "b \xF0\x9F\x98\x80"
       "c caf\xC3\xA9 \xFF",
       "a b \xF0\x9F\x98\x80 c caf\xC3\xA9 \xEF\xBF\xBD"},
      {"", ""},
  };
  for (const auto& [line, words] : cases) CHECK(meteor_words(line) == caption_words(words));
  for (const char* word : {"a", "the", "people", "'s", ",", "--", "\xE2\x80\x94"})
    CHECK(is_function_word(word));
  for (const char* word : {"dog", "", "three", ";", "thee"}) CHECK(!is_function_word(word));
}

TEST_CASE("meteor: weights, chunks and the best reference by hand") {
  const Meteor meteor{MeteorOptions{}};
  CHECK(meteor.name() == "METEOR_exact_stem");
  CHECK(score(meteor, "dog cat", "dog bird cat") == Approx(formula(1, 2.0 / 3, 2, 2)));
  CHECK(score(meteor, "the dog", "a dog") ==
        Approx(formula(0.75, 0.75, 1, 1)));                              // function words weigh a third
  CHECK(score(meteor, "dogs cat", "dog cat") == Approx(0.8 * (1 - 0)));  // stem: 0.6; all matched
  CHECK(score(meteor, "dog cat", "dog cat") == 1);
  CHECK(score(meteor, "cat dog", "dog cat") == Approx(formula(1, 1, 2, 2)));
  // Four words in one chunk rather than in two: the second "red" is taken.
  CHECK(score(meteor, "red x red ball", "red ball") == Approx(formula(0.5, 1, 1, 2)));
  const auto best = meteor.score({image("dog cat", {"bird", "dog", "dog cat", "dog bird cat"})});
  CHECK(best.each[0] == 1);
}

TEST_CASE("meteor: the corpus score comes from summed counts") {
  const Meteor meteor{MeteorOptions{}};
  const auto s = meteor.score({image("dog", {"dog"}), image("red bird", {"red green blue cat"})});
  CHECK(s.each[0] == 1);
  CHECK(s.each[1] == Approx(formula(1.0 / 2, 1.0 / 4, 1, 1)));
  // 2 of 3 and 2 of 5 words; the perfect pair's chunk does not count
  CHECK(s.mean == Approx(formula(2.0 / 3, 2.0 / 5, 1, 2)));
}

TEST_CASE("meteor: synonyms") {
  const TemporaryDir folder;
  write_wordnet(folder.path());
  const WordNet wordnet(folder.path());
  CHECK(wordnet.synsets("dog") == std::vector<int32_t>{2084071, 10114209});
  CHECK(wordnet.synsets("dogs") == wordnet.synsets("dog"));
  CHECK(wordnet.synsets("men") == wordnet.synsets("guys"));
  CHECK(wordnet.synsets("riding") == wordnet.synsets("drove"));
  CHECK(wordnet.synsets("bigger") == wordnet.synsets("largest"));
  CHECK(wordnet.synsets("breathe") == wordnet.synsets("entity"));
  for (const char* word : {"", "s", "dogss", "ing", "hot_dog", "cat"}) CHECK(wordnet.synsets(word).empty());

  const Meteor meteor({.wordnet = folder.path()});
  CHECK(meteor.name() == "METEOR_exact_stem_synonym");
  CHECK(score(meteor, "hounds", "dog") == Approx(0.8));
  CHECK(score(meteor, "hounds cat", "dog") == Approx(formula(0.4, 0.8, 1, 1)));
  CHECK(score(Meteor({}), "hounds", "dog") == 0);

  std::ofstream(folder / "index.verb") << "ride v 2 1 @ 2 1 01930874  \n";
  CHECK_THROWS_WITH(WordNet(folder.path()), Contains("index.verb: line 1: expected 2 synsets"));
  std::ofstream(folder / "index.verb") << "ride v 1 1 @ 1 1 0193o874  \n";
  CHECK_THROWS_WITH(WordNet(folder.path()), Contains("expected a number, found \"0193o874\""));
  fs::remove(folder / "noun.exc");
  CHECK_THROWS_WITH(Meteor({.wordnet = folder.path()}), Contains("noun.exc"));
}

TEST_CASE("meteor: paraphrases") {
  const TemporaryDir folder;
  const fs::path table = folder / "table";
  std::ofstream(table) << "0.5\non top of\nabove\n1.2e-3\ntv\ntelevision set\n0.1\nnever\nseen here\n";
  const Meteor meteor({.paraphrases = table});
  CHECK(meteor.name() == "METEOR_exact_stem_paraphrase");
  CHECK(score(meteor, "tv", "television set") == Approx(0.6));
  CHECK(score(meteor, "television set", "tv") == Approx(0.6));  // both ways
  CHECK(score(meteor, "television", "tv") == 0);
  // "on" and "of" are function words: 0.25 of a word each; all matched in one chunk
  const double above = 0.75 * 0.6, on_top_of = (0.25 + 0.75 + 0.25) * 0.6;
  const double p = (0.75 + above) / 1.5, r = (0.75 + on_top_of) / (0.75 + 1.25);
  CHECK(score(meteor, "cat above", "cat on top of") == Approx(p * r / (0.85 * p + 0.15 * r)));

  write_wordnet(folder.path());
  CHECK(Meteor({.wordnet = folder.path(), .paraphrases = table}).name() == "METEOR");
  std::ofstream(table) << "0.5\non top of\n";
  CHECK_THROWS_WITH(score(meteor, "a", "b"), Contains("line 2: expected a phrase and its paraphrase"));
  std::ofstream(table) << "on top of\nabove\n0.5\n";
  CHECK_THROWS_WITH(score(meteor, "a", "b"), Contains("line 1: expected a probability"));
  std::ofstream(table) << "\x1F\x8B";
  CHECK_THROWS_WITH(score(meteor, "a", "b"), Contains("gunzip -k"));
}

TEST_CASE("meteor: captions of any kind") {
  const Meteor meteor{MeteorOptions{}};
  CHECK(score(meteor, "", "dog") == 0);
  CHECK(score(meteor, "dog", "") == 0);
  CHECK(score(meteor, "", "") == 0);
  CHECK(meteor.score({image("", {""})}).mean == 0);
  CHECK(score(meteor, "\xFF \xF0\x9F\x98\x80", "\xFE \xF0\x9F\x98\x80") == 1);
  std::string same, mixed;
  for (int i = 0; i < 3000; ++i) same += "dog ", mixed += i % 3 == 0 ? "cat " : "dog ";
  CHECK(score(meteor, same, same) == 1);
  const double long_score = score(meteor, same, mixed);  // all the dogs, cats between
  CHECK(long_score > 0.2);
  CHECK(long_score < 0.6);
  CHECK_THROWS_AS(meteor.score({}), InputError);
  CHECK_THROWS_AS(meteor.score({image("dog", {})}), InputError);
  CHECK_THROWS_AS(Meteor({.beam = 0}), InputError);
}
