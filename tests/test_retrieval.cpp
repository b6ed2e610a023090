// Protects retrieval (recall, ties, unequal numbers of texts, bad input), ranked lists and zero-shot
// classification.
#include "catch.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "data/prompt_lists.h"
#include "eval/retrieval.h"
#include "eval/zero_shot.h"
#include "fuzz.h"
#include "gmail/clip_flow.h"
#include "gradcheck.h"
#include "threads.h"

using namespace gmail;
using namespace gmail::test;

namespace {

Tensor matrix(const std::vector<float>& values, int64_t width) {
  return Tensor::from(values, {static_cast<int64_t>(values.size()) / width, width});
}

Tensor ids(const std::vector<int32_t>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}

double cosine(const Tensor& a, int64_t i, const Tensor& b, int64_t j) {
  double ab = 0, aa = 0, bb = 0;
  for (int64_t e = 0; e < a.size(1); ++e) {
    const double x = a.at(i * a.size(1) + e), y = b.at(j * b.size(1) + e);
    ab += x * y, aa += x * x, bb += y * y;
  }
  return ab / std::sqrt(aa * bb);
}

// the gallery's rows by score, by sorting all of them
std::vector<int64_t> sorted(const Tensor& query, int64_t q, const Tensor& gallery) {
  std::vector<std::pair<double, int64_t>> order;
  for (int64_t g = 0; g < gallery.size(0); ++g) order.emplace_back(-cosine(query, q, gallery, g), g);
  std::sort(order.begin(), order.end());
  std::vector<int64_t> result;
  for (const auto& [score, g] : order) result.push_back(g);
  return result;
}

// the definition, word by word
Retrieval reference(const Tensor& images, const Tensor& texts, const std::vector<int32_t>& text_image) {
  Retrieval r;
  const auto recall = [&](int64_t k, double& i2t, double& t2i) {
    int64_t counted = 0, i_found = 0, t_found = 0;
    for (int64_t t = 0; t < texts.size(0); ++t) {
      const auto order = sorted(texts, t, images);
      for (int64_t n = 0; n < std::min(k, images.size(0)); ++n)
        t_found += order[static_cast<size_t>(n)] == text_image[static_cast<size_t>(t)];
    }
    for (int64_t i = 0; i < images.size(0); ++i) {
      if (std::find(text_image.begin(), text_image.end(), i) == text_image.end()) continue;
      ++counted;
      const auto order = sorted(images, i, texts);
      bool found = false;
      for (int64_t n = 0; n < std::min(k, texts.size(0)); ++n)
        found = found || text_image[static_cast<size_t>(order[static_cast<size_t>(n)])] == i;
      i_found += found;
    }
    i2t = 100.0 * static_cast<double>(i_found) / static_cast<double>(counted);
    t2i = 100.0 * static_cast<double>(t_found) / static_cast<double>(texts.size(0));
  };
  recall(1, r.i2t_r1, r.t2i_r1);
  recall(5, r.i2t_r5, r.t2i_r5);
  recall(10, r.i2t_r10, r.t2i_r10);
  return r;
}

std::vector<double> numbers(const Retrieval& r) {
  return {r.i2t_r1, r.i2t_r5, r.i2t_r10, r.t2i_r1, r.t2i_r5, r.t2i_r10};
}

}  // namespace

TEST_CASE("retrieval: the definition on random embeddings with 0 to 3 texts an image") {
  std::vector<int32_t> text_image;
  for (int32_t i = 0; i < 43; ++i)
    for (int32_t n = 0; n < (i * 7 + 3) % 4; ++n) text_image.push_back((i * 5) % 43);
  const auto M = static_cast<int64_t>(text_image.size());
  const Tensor images = random({43, 13}, 1, DType::float32);
  Tensor texts = random({M, 13}, 2, DType::float32);
  for (int64_t t = 0; t < M; ++t)  // somewhat like their images
    for (int64_t e = 0; e < 13; ++e)
      texts.data<float>()[t * 13 + e] +=
          0.7F * images.data<float>()[text_image[static_cast<size_t>(t)] * 13 + e];
  const Retrieval r = retrieval(images, texts, ids(text_image));
  CHECK(numbers(r) == numbers(reference(images, texts, text_image)));
  CHECK(r.t2i_r1 > 5);
  CHECK(r.t2i_r10 < 100);
  CHECK(r.images == 43);
  CHECK(r.texts == M);
  CHECK(r.images_without_text == 10);

  const Threads one(1);
  CHECK(numbers(retrieval(images, texts, ids(text_image))) == numbers(r));
}

TEST_CASE("retrieval: a case by hand") {
  // Image 0 looks along x, image 1 along y, image 2 has no text. Text 0 and 2 belong to image 0, text 1 to
  // image 1.
  const Tensor images = matrix({2, 0, 0, 3, -1, -1}, 2);
  const Tensor texts = matrix({0, 1, 1, 1, 5, 0}, 2);
  const Retrieval r = retrieval(images, texts, ids({0, 1, 0}));
  // Image 0 finds its text 2; image 1 finds text 0, which is not its own.
  CHECK(r.i2t_r1 == 50);
  CHECK(r.i2t_r5 == 100);
  // Only text 2: text 0 finds image 1, and text 1 is as near to image 0 as to its own, with 0 < 1.
  CHECK(r.t2i_r1 == Approx(100.0 / 3));
  CHECK(r.t2i_r5 == 100);
  CHECK(r.images_without_text == 1);
}

TEST_CASE("retrieval: ties go to the lower index") {
  // All images are equal up to their length, so every text finds image 0 first, and the ranks are the
  // indices.
  std::vector<float> values;
  for (int i = 0; i < 12; ++i)
    for (const float x : {1.0F, 3.0F, -7.0F}) values.push_back(x * static_cast<float>(i + 1));
  const Tensor images = matrix(values, 3);
  std::vector<int32_t> own(12);
  for (int32_t i = 0; i < 12; ++i) own[static_cast<size_t>(i)] = i;
  const Retrieval r = retrieval(images, images, ids(own));
  CHECK(r.t2i_r1 == Approx(100.0 / 12));
  CHECK(r.t2i_r5 == Approx(500.0 / 12));
  CHECK(r.i2t_r10 == Approx(1000.0 / 12));
  const auto ranked = rank(images, images, 20);
  REQUIRE(ranked.size() == 12);
  REQUIRE(ranked[7].size() == 12);
  for (int64_t g = 0; g < 12; ++g) CHECK(ranked[7][static_cast<size_t>(g)].index == g);
}

TEST_CASE("retrieval: ties go to the lower index across the blocks in which scores are computed") {
  // few directions, in no order: every text ties with many, before and behind it, in all blocks
  constexpr int64_t N = 530, M = 270, E = 5;
  const Tensor directions = random({9, E}, 3, DType::float32);
  std::vector<int64_t> of_image, of_text;
  std::vector<int32_t> own;
  for (int64_t i = 0; i < N; ++i) of_image.push_back(i * i % 61 % 9);
  for (int64_t t = 0; t < M; ++t) {
    own.push_back(static_cast<int32_t>((t * 211 + 17) % N));
    of_text.push_back((t % 3 == 0 ? of_image[static_cast<size_t>(own.back())] : t * t % 53) % 9);
  }
  const Tensor images = take_rows(directions, of_image), texts = take_rows(directions, of_text);
  const Retrieval r = retrieval(images, texts, ids(own));
  CHECK(numbers(r) == numbers(reference(images, texts, own)));
  CHECK(r.t2i_r10 > 0);
  CHECK(r.i2t_r10 > r.i2t_r1);
}

TEST_CASE("retrieval: ranked lists carry cosines") {
  const auto ranked = rank(matrix({0, 2}, 2), matrix({1, 0, 1, 1, 0, -4}, 2), 2);
  REQUIRE(ranked[0].size() == 2);
  CHECK(ranked[0][0].index == 1);
  CHECK(ranked[0][0].score == Approx(std::sqrt(0.5)));
  CHECK(ranked[0][1].index == 0);
}

TEST_CASE("retrieval: bad input is refused") {
  const Tensor a = random({3, 5}, 1, DType::float32), b = random({2, 5}, 2, DType::float32);
  CHECK_THROWS_WITH(retrieval(a, b, ids({0, 3})),
                    "[retrieval] text_image[1] is 3, expected an image row 0 .. 2");
  CHECK_THROWS_WITH(retrieval(a, b, ids({0, -1})),
                    "[retrieval] text_image[1] is -1, expected an image row 0 .. 2");
  CHECK_THROWS_AS(retrieval(a, b, ids({0})), InputError);
  CHECK_THROWS_AS(retrieval(a, random({2, 4}, 2, DType::float32), ids({0, 1})), InputError);
  CHECK_THROWS_AS(retrieval(a, random({2, 5}, 2), ids({0, 1})), InputError);
  CHECK_THROWS_AS(retrieval(Tensor::empty({0, 5}), b, ids({0, 1})), InputError);
  Tensor bad = b.clone();
  bad.data<float>()[7] = std::numeric_limits<float>::quiet_NaN();
  CHECK_THROWS_WITH(retrieval(a, bad, ids({0, 1})), "[retrieval] text_embeds row 1 is not finite");
  bad.fill(0);
  CHECK_THROWS_AS(retrieval(bad, b, ids({0, 1})), InputError);
}

TEST_CASE("zero_shot: the class is among the k best, equal scores by the lower class") {
  const Tensor w = matrix({1, 0, 0, 1, 0, 1, -1, 0}, 2);  // classes 1 and 2 are equal
  const Tensor images = matrix({0, 2, 0, 2, 3, 1, 3, 1}, 2), labels = ids({1, 2, 3, 2});
  CHECK(top_k(images, w, labels, 1) == 25);  // ranks 1, 2, 4, 3
  CHECK(top_k(images, w, labels, 2) == 50);
  CHECK(top_k(images, w, labels, 3) == 75);
  CHECK(top_k(images, w, labels, 5) == 100);
  CHECK_THROWS_AS(top_k(images, w, ids({1, 2, 3, 4}), 1), InputError);
}

TEST_CASE("zero_shot: weights of a prompt ensemble, top-1 and mean per class") {
  // class 0: prompts along x and y -> (1,1)/sqrt 2; class 1: one prompt along -x; lengths do not matter
  const Tensor w = class_weights(matrix({9, 0, 0, -2, 0, 1}, 3), ids({0, 1}), 2);
  CHECK(close(w, matrix({1, 0, 0, -2 / std::sqrt(5.0F), 0, 1 / std::sqrt(5.0F)}, 3), 1e-6) == "");
  const Tensor ensemble = class_weights(matrix({9, 0, 0, 0.1F, -1, 0}, 2), ids({0, 0, 1}), 2);
  CHECK(close(ensemble, matrix({std::sqrt(0.5F), std::sqrt(0.5F), -1, 0}, 2), 1e-6) == "");

  const Tensor predicted = classify(matrix({1, 2, 3, -1, -1, 1, -5, 1}, 2), ensemble);
  CHECK(close(predicted, ids({0, 0, 1, 1}), 0) == "");  // (-1,1): cosine 0 and 0.71
  const Accuracy a = accuracy(predicted, ids({0, 0, 0, 1}), 3);
  CHECK(a.top1 == 75);
  CHECK(a.mean_per_class == Approx((200.0 / 3 + 100) / 2));
  CHECK(a.per_class == std::vector<double>{200.0 / 3, 100, -1});
  CHECK_THROWS_AS(class_weights(matrix({1, 0}, 2), ids({0}), 2), InputError);  // class 1 has no prompt
  // Each prompt is normalised, then the mean is: the first keeps the long prompt from deciding alone, without
  // the second class 0, whose prompts lie apart, would have the length 0.8 and lose the image to class 1.
  const Tensor spread =
      class_weights(matrix({6, 8, -0.6F, 0.8F, 2.4F, 1.8F, 0.8F, 0.6F}, 2), ids({0, 0, 1, 1}), 2);
  CHECK(close(spread, matrix({0, 1, 0.8F, 0.6F}, 2), 1e-6) == "");
  CHECK(close(classify(matrix({0.35F, 0.94F}, 2), spread), ids({0}), 0) == "");
}

TEST_CASE("prompts: OpenAI's lists of classes and templates, by section") {
  const std::string text =
      "# Prompts\n## Food101\n```bash\nclasses = [  # two\n    'apple pie',\n    \"men's "
      "\\\"best\\\"\",\n]\n\n"
      "templates = ['a photo of {}, a type of food.']\n```\n## Pets\npet_classes = ['cat', 'dog',]\n"
      "not_a_list = 3\nmy_templates=[\n  'a {}', # one\n  \"it's a {}\"]\n## Bad\nclasses = ['a' 'b']\n";
  using Names = std::vector<std::string>;
  const auto list = [&](PromptList kind, const std::string& section) {
    return read_prompt_list(text, "prompts.md", kind, section);
  };
  CHECK(has_prompt_lists(text));
  CHECK_FALSE(has_prompt_lists("a photo of classes\nclasses [\na {} = [\n"));
  CHECK(list(PromptList::classes, "Food101") == Names{"apple pie", "men's \"best\""});
  CHECK(list(PromptList::templates, "Food101") == Names{"a photo of {}, a type of food."});
  CHECK(list(PromptList::classes, "Pets") == Names{"cat", "dog"});
  CHECK(list(PromptList::templates, "Pets") == Names{"a {}", "it's a {}"});
  CHECK_THROWS_WITH(list(PromptList::classes, "Bad"), "prompts.md:18: expected a comma, found \"'b']\"");
  CHECK_THROWS_WITH(
      list(PromptList::classes, "Birds"),
      "prompts.md, section \"Birds\": no list \"classes = [..]\"; the sections are Food101, Pets, Bad");
  CHECK_THROWS_WITH(
      list(PromptList::templates, ""),
      "prompts.md: 2 lists \"templates = [..]\", expected one: name the section; the sections are "
      "Food101, Pets");
  const auto refused = [](const std::string& after) {
    return [after] { (void)read_prompt_list("classes = [" + after, "f", PromptList::classes, ""); };
  };
  CHECK_THROWS_WITH(refused("'a',")(), "f:1: expected ], the end of the list, found the end");
  CHECK_THROWS_WITH(refused("['a'], ['b', 'c']]")(),
                    Catch::Matchers::StartsWith("f:1: expected a string in quotes"));
  CHECK_THROWS_WITH(refused("\n'a\n']")(),
                    Catch::Matchers::StartsWith("f:2: expected the end of the string"));
  CHECK_THROWS_WITH(refused("'a\\")(), Catch::Matchers::StartsWith("f:1: expected \\\\"));
  CHECK_THROWS_WITH(refused(" ]")(), "f: the list \"classes = [..]\" is empty");
  CHECK(count_refused(
            text, text.size(), fuzz_rounds(500),
            [](const std::string& t) { (void)read_prompt_list(t, "f", PromptList::classes, "Food101"); },
            "[]'\"\\#=,\n") > 0);
}
