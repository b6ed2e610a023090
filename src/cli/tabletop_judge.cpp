#include "cli/tabletop_judge.h"

#include "data/tabletop_scene.h"
#include "eval/zero_shot.h"

namespace gmail::cli {
namespace {

constexpr int64_t kColours = std::ssize(kColourNames), kShapes = std::ssize(kSolidNames);

// prompt p speaks of colour p / prompts per colour and so on; templates are alike for every class
struct Prompts {
  std::vector<std::string> texts;
  std::vector<int32_t> colour, shape;
};

Prompts make_prompts() {
  Prompts p;
  for (int64_t c = 0; c < kColours; ++c)
    for (int64_t s = 0; s < kShapes; ++s)
      for (const char* size : {"", "large ", "small "}) {
        const std::string colour(kColourNames[static_cast<size_t>(c)]),
            shape(kSolidNames[static_cast<size_t>(s)]);
        const std::string article = *size == '\0' && colour == "orange" ? "an " : "a ";
        p.texts.push_back(article + size + colour + " " + shape);
        p.colour.push_back(static_cast<int32_t>(c));
        p.shape.push_back(static_cast<int32_t>(s));
      }
  return p;
}

template <size_t N>
int32_t index_in(const std::array<std::string_view, N>& names, const std::string& word,
                 const std::string& id) {
  for (size_t i = 0; i < N; ++i)
    if (names[i] == word) return static_cast<int32_t>(i);
  throw InputError(
      concat("record \"", id, "\": field \"label\": expected a colour and a shape, found \"", word, "\""));
}

double top1(const Tensor& images, const Tensor& prompts, const std::vector<int32_t>& classes, int64_t count,
            const std::vector<int32_t>& labels) {
  const auto of = [](const std::vector<int32_t>& v) {
    return Tensor::from(v, {static_cast<int64_t>(v.size())});
  };
  return accuracy(classify(images, class_weights(prompts, of(classes), count)), of(labels), count).top1;
}

}  // namespace

NamingAccuracy name_solids(const Context& ctx, ClipModel& model, const Tensor& images,
                           const Manifest& manifest) {
  const Prompts prompts = make_prompts();
  std::vector<int32_t> pair, colours, shapes, pairs;
  for (size_t i = 0; i < prompts.texts.size(); ++i)
    pair.push_back(static_cast<int32_t>(prompts.colour[i] * kShapes + prompts.shape[i]));
  for (const Record& r : manifest.records) {
    const std::string label = r.label.value_or("");
    const size_t blank = label.find(' ');
    colours.push_back(index_in(kColourNames, label.substr(0, blank), r.id));
    shapes.push_back(index_in(kSolidNames, blank == std::string::npos ? "" : label.substr(blank + 1), r.id));
    pairs.push_back(static_cast<int32_t>(colours.back() * kShapes + shapes.back()));
  }
  const Tensor texts = embed_texts(ctx, model, prompts.texts);
  return {top1(images, texts, prompts.colour, kColours, colours),
          top1(images, texts, prompts.shape, kShapes, shapes),
          top1(images, texts, pair, kColours * kShapes, pairs)};
}

}  // namespace gmail::cli
