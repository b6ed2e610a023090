#include "cli/tabletop_judge.h"

#include "data/tabletop_scene.h"
#include "eval/zero_shot.h"

namespace gmail::cli {
namespace {

constexpr int64_t kColours = std::ssize(kColourNames), kShapes = std::ssize(kSolidNames);

// Three prompts for each pair, colour by colour: prompt p is of pair p / 3.
constexpr std::array<const char*, 3> kSizes{"", "large ", "small "};

std::vector<std::string> make_prompts() {
  std::vector<std::string> prompts;
  for (const std::string_view colour : kColourNames)
    for (const std::string_view shape : kSolidNames)
      for (const char* size : kSizes)
        prompts.push_back(
            concat(*size == '\0' && colour == "orange" ? "an " : "a ", size, colour, " ", shape));
  return prompts;
}

template <size_t N>
int32_t index_in(const std::array<std::string_view, N>& names, const std::string& word,
                 const std::string& id) {
  for (size_t i = 0; i < N; ++i)
    if (names[i] == word) return static_cast<int32_t>(i);
  throw InputError(
      concat("record \"", id, "\": field \"label\": expected a colour and a shape, found \"", word, "\""));
}

}  // namespace

NamingAccuracy name_solids(const Context& ctx, ClipModel& model, const Tensor& images,
                           const Manifest& manifest) {
  const std::vector<std::string> prompts = make_prompts();
  Tensor pair = Tensor::empty({std::ssize(prompts)}, DType::int32);
  for (int64_t p = 0; p < pair.numel(); ++p)
    pair.data<int32_t>()[p] = static_cast<int32_t>(p / std::ssize(kSizes));
  const Tensor weights = class_weights(embed_texts(ctx, model, prompts), pair, kColours * kShapes);
  const Tensor named = classify(images, weights);
  NamingAccuracy right;
  for (int64_t i = 0; i < manifest.size(); ++i) {
    const std::string label = manifest[i].label.value_or("");
    const size_t blank = label.find(' ');
    const int32_t colour = index_in(kColourNames, label.substr(0, blank), manifest[i].id);
    const int32_t shape =
        index_in(kSolidNames, blank == std::string::npos ? "" : label.substr(blank + 1), manifest[i].id);
    const int32_t found = named.data<int32_t>()[i];
    right.colour += found / kShapes == colour ? 1 : 0;
    right.shape += found % kShapes == shape ? 1 : 0;
    right.both += found == colour * kShapes + shape ? 1 : 0;
  }
  for (double* count : {&right.colour, &right.shape, &right.both})
    *count *= 100 / static_cast<double>(manifest.size());
  return right;
}

}  // namespace gmail::cli
