// Protects WMD: the transport against every plan of small integers, word2vec's and GloVe's files in all forms
// and broken, the distance by hand, stop words and words without a vector.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "catch.h"
#include "core/check.h"
#include "desk.h"
#include "eval/transport.h"
#include "eval/wmd.h"
#include "fuzz.h"

using namespace gmail;
using namespace gmail::test;

namespace {

// Every unit of supply goes to a unit of demand: the cheapest of all ways to pair them.
double cheapest_pairing(const std::vector<int64_t>& a, const std::vector<int64_t>& b,
                        const std::vector<double>& cost) {
  std::vector<size_t> from, to;
  for (size_t i = 0; i < a.size(); ++i) from.insert(from.end(), static_cast<size_t>(a[i]), i);
  for (size_t j = 0; j < b.size(); ++j) to.insert(to.end(), static_cast<size_t>(b[j]), j);
  double best = INFINITY;
  do {
    double sum = 0;
    for (size_t k = 0; k < from.size(); ++k) sum += cost[from[k] * b.size() + to[k]];
    best = std::min(best, sum);
  } while (std::next_permutation(to.begin(), to.end()));
  return best;
}

std::vector<int64_t> parts(std::mt19937& random, size_t n, int64_t sum) {
  std::vector<int64_t> x(n, 1);
  for (auto left = sum - static_cast<int64_t>(n); left > 0; --left) ++x[random() % n];
  return x;
}

std::string binary(const std::vector<std::pair<std::string, std::vector<float>>>& words, const char* end) {
  std::string bytes = std::to_string(words.size()) + " " + std::to_string(words[0].second.size()) + "\n";
  for (const auto& [word, vector] : words) {
    std::string raw(vector.size() * sizeof(float), '\0');
    std::memcpy(raw.data(), vector.data(), raw.size());
    bytes += word + " " + raw + end;
  }
  return bytes;
}

const std::unordered_set<std::string> kWanted = {"dog", "cat", "ball", "bird", "zebra"};
const char* const kText = "4 2\ndog 0 0\ncat 3 4\nball 0 1\nbird 6 8\n";

}  // namespace

TEST_CASE("transport: the cheapest of all plans of small integers") {
  std::mt19937 random(3);
  for (int round = 0; round < 300; ++round) {
    const size_t n = 1 + random() % 4, m = 1 + random() % 4;
    const auto sum = static_cast<int64_t>(std::max(n, m) + random() % (8 - std::max(n, m)));
    const std::vector<int64_t> a = parts(random, n, sum), b = parts(random, m, sum);
    std::vector<double> cost(n * m);
    // a few values only: many plans are equally good
    for (double& c : cost)
      c = round % 2 == 0 ? static_cast<double>(random() % 4) : static_cast<double>(random()) / 1e9;
    const double expected = cheapest_pairing(a, b, cost), got = transport_cost(a, b, cost);
    INFO("round " << round << ": " << expected << " " << got);
    REQUIRE(std::abs(got - expected) <= 1e-12 * (1 + expected));
  }
  // masses that no pairing could count: half of 10^12 moves
  const std::vector<int64_t> far{1000000000000, 1}, near{500000000000, 500000000001};
  CHECK(transport_cost(far, near, std::vector<double>{0, 1, 1, 0}) == 5e11);
  CHECK_THROWS_AS(transport_cost(far, far, std::vector<double>{0, 1, NAN, 0}), Error);
  CHECK_THROWS_AS(transport_cost(far, near, std::vector<double>{0, 1}), Error);
  CHECK_THROWS_AS(transport_cost(std::vector<int64_t>{2}, std::vector<int64_t>{1}, std::vector<double>{0}),
                  Error);
}

TEST_CASE("word vectors: binary, text and GloVe's files; only what is wanted") {
  const Desk desk;
  const std::vector<std::pair<std::string, std::vector<float>>> words = {
      {"dog", {0, 0}}, {"cat", {3, 4}}, {"other", {9, 9}}, {"ball", {0, 1}}, {"cat", {7, 7}}};
  desk.write("a.bin", binary(words, ""));
  desk.write("b.bin", binary(words, "\n"));
  desk.write("c.txt", "5 2\ndog 0 0\ncat 3 4 \nother 9 9\nball 0 1\r\ncat 7 7");
  desk.write("d.txt", "dog 0 0\ncat 3 4\n. . . 9 9\nball 0 1e0\ncat 7 7\n");
  for (const char* file : {"a.bin", "b.bin", "c.txt", "d.txt"}) {
    INFO(file);
    WordVectors v = WordVectors::read(desk.dir / file, kWanted);
    CHECK(v.dimension() == 2);
    CHECK(v.in_file() == 5);
    CHECK(v.size() == 3);
    REQUIRE(v.find("cat").size() == 2);
    CHECK(v.find("cat")[0] == 3);
    CHECK(v.find("ball")[1] == 1);
    CHECK(v.find("zebra").empty());
    CHECK(v.find("other").empty());
    v.normalise();
    CHECK(v.find("cat")[1] == Approx(0.8));
    CHECK(v.find("dog")[0] == 0);
  }
}

TEST_CASE("word vectors: broken files are refused with the place") {
  const Desk desk;
  const std::string whole = binary({{"dog", {0, 0}}, {"cat", {3, 4}}}, "");
  struct Bad {
    std::string bytes, part;
  };
  for (const Bad& bad :
       std::vector<Bad>{{"", ":1: expected \"WORDS DIMENSION\""},
                        {"dog\n", "found 1 fields"},
                        {"0 2\n", "found 0 and 2"},
                        {"2 -1\ndog", "found 2 and -1"},
                        {whole.substr(0, whole.size() - 1),
                         "byte 16, vector 2 of 2: expected a word, a blank and 2 float32"},
                        {whole + "x", "byte 28: expected the end after 2 vectors"},
                        {"3 2\n" + whole.substr(4), "vector 3 of 3"},
                        {"3 2\ndog 0 0\ncat 3 4\n", ":1: expected 3 words as this line says, found 2"},
                        {"2 2\ndog 0 0\ncat 3\n", ":3: expected a word and 2 numbers, found 2 fields"},
                        {"2 2\ndog 0 0\ncat 3 x\n", ":3: expected number 2 of 2, found \"x\""},
                        {"2 2\ndog 0 0\ncat 3 nan\n", ":3: \"cat\": expected finite numbers"},
                        {binary({{"dog", {NAN, 0}}}, ""), "\"dog\": expected finite numbers"}}) {
    desk.write("v", bad.bytes);
    INFO(bad.bytes << "\n" << bad.part);
    CHECK_THROWS_AS(WordVectors::read(desk.dir / "v", kWanted), InputError);
    try {
      (void)WordVectors::read(desk.dir / "v", kWanted);
    } catch (const InputError& e) {
      INFO(e.what());
      CHECK(std::string(e.what()).find(bad.part) != std::string::npos);
    }
  }
}

TEST_CASE("word vectors: files with a few bytes changed are read or refused") {
  const Desk desk;
  const auto read = [&](const std::string& bytes) {
    desk.write("v", bytes);
    (void)WordVectors::read(desk.dir / "v", kWanted);
  };
  const int64_t rounds = fuzz_rounds(150);
  CHECK(count_refused(kText, 100, rounds, read, "0123456789.-e \n") > rounds / 4);
  CHECK(count_refused(binary({{"dog", {0, 0}}, {"cat", {3, 4}}}, ""), 100, rounds, read, "0123456789 \n") >
        rounds / 4);
}

TEST_CASE("wmd: distances by hand") {
  const Desk desk;
  desk.write("v.txt", kText);
  const WordVectors v = WordVectors::read(desk.dir / "v.txt", kWanted);
  CHECK(english_stop_words().size() == 179);
  CHECK(word_mover_distance({"the", "dog"}, {"a", "cat"}, v) == 5);
  CHECK(word_mover_distance({"dog", "zebra"}, {"dog"}, v) == 0);  // a word without a vector is not there
  // half of the dogs go to the ball (1), half to the cat (5)
  CHECK(word_mover_distance({"dog"}, {"cat", "ball", "cat", "ball"}, v) == 3);
  // 2/3 dog, 1/3 cat -> 1/2 dog, 1/2 bird: cat to bird (5), 1/6 of the dogs to bird (10)
  CHECK(word_mover_distance({"dog", "dog", "cat"}, {"bird", "dog"}, v) == Approx(5 / 3.0 + 10 / 6.0));
  CHECK(std::isinf(word_mover_distance({"the", "zebra"}, {"dog"}, v)));
  const CaptionScore s = wmd({{{"dog"}, {{"bird"}, {"ball"}}}, {{"cat"}, {{"zebra"}}}}, v);
  CHECK(s.each[0] == Approx(std::exp(-1)));  // the better reference
  CHECK(s.each[1] == 0);
  CHECK(s.mean == Approx(std::exp(-1) / 2));
  const auto words = wmd_vocabulary({{{"the", "dog"}, {{"a", "cat"}}}});
  CHECK(words == std::unordered_set<std::string>{"dog", "cat"});
}
