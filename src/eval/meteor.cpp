#include "eval/meteor.h"

#include <array>
#include <cmath>
#include <optional>

#include "core/check.h"
#include "eval/meteor_match.h"
#include "eval/meteor_text.h"
#include "eval/wordnet.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

constexpr double kAlpha = 0.85, kBeta = 0.20, kGamma = 0.60, kDelta = 0.75;
constexpr std::array<double, kMeteorModules> kWeight{1.0, 0.6, 0.8, 0.6};

// What a caption, or its side of a pair, counts.
struct Side {
  double words = 0, function_words = 0;
  std::array<double, kMeteorModules> content{}, function{};  // matched, by module
  [[nodiscard]] double matched() const {
    double sum = 0;
    for (size_t i = 0; i < kMeteorModules; ++i) sum += content[i] + function[i];
    return sum;
  }
  // eq. (1)
  [[nodiscard]] double covered() const {
    double weighted = 0;
    for (size_t i = 0; i < kMeteorModules; ++i)
      weighted += kWeight[i] * (kDelta * content[i] + (1 - kDelta) * function[i]);
    return weighted / (kDelta * (words - function_words) + (1 - kDelta) * function_words);
  }
  void add(const Side& s) {
    words += s.words;
    function_words += s.function_words;
    for (size_t i = 0; i < kMeteorModules; ++i) content[i] += s.content[i], function[i] += s.function[i];
  }
};

struct Counts {
  Side hypothesis, reference;
  double chunks = 0;
  [[nodiscard]] bool perfect() const {
    return hypothesis.matched() == hypothesis.words && reference.matched() == reference.words && chunks == 1;
  }
  [[nodiscard]] double score() const {
    const double matched = (hypothesis.matched() + reference.matched()) / 2;
    if (!(matched > 0)) return 0;
    const double p = hypothesis.covered(), r = reference.covered();
    const double f = 1 / ((1 - kAlpha) / p + kAlpha / r);                           // eq. (2)
    return f * (1 - kGamma * (perfect() ? 0 : std::pow(chunks / matched, kBeta)));  // eq. (3)
  }
  void add(const Counts& c) {
    hypothesis.add(c.hypothesis);
    reference.add(c.reference);
    if (!c.perfect()) chunks += c.chunks;
  }
};

Side measure(const MeteorCaption& caption, const MeteorLexicon& lexicon) {
  Side side;
  side.words = static_cast<double>(caption.words.size());
  for (const int32_t word : caption.words) side.function_words += lexicon.entry(word).is_function ? 1 : 0;
  return side;
}

// Adds the words [begin, begin + length) of a caption to what `module` has matched.
void count(const MeteorCaption& caption, int32_t begin, int32_t length, MeteorModule module,
           const MeteorLexicon& lexicon, Side& side) {
  for (int32_t k = begin; k < begin + length; ++k) {
    const bool is_function = lexicon.entry(caption.words[static_cast<size_t>(k)]).is_function;
    (is_function ? side.function : side.content)[static_cast<size_t>(module)] += 1;
  }
}

// The captions of all images in numbers.
struct Corpus {
  struct Image {
    MeteorCaption hypothesis;
    std::vector<MeteorCaption> references;
  };
  MeteorLexicon lexicon;
  ParaphraseTable table;
  std::vector<Image> images;

  Corpus(const std::vector<CaptionedImage>& from, const WordNet* wordnet, const fs::path& paraphrases)
      : lexicon(wordnet) {
    std::vector<Words> captions;  // of each image the hypothesis, then the references
    for (const CaptionedImage& image : from) {
      captions.push_back(normalise(image.hypothesis));
      for (const Words& r : image.references) captions.push_back(normalise(r));
    }
    if (!paraphrases.empty()) table = ParaphraseTable(paraphrases, captions);
    auto next = captions.begin();
    for (const CaptionedImage& image : from) {
      images.push_back({number(*next++), {}});
      for (size_t r = 0; r < image.references.size(); ++r)
        images.back().references.push_back(number(*next++));
    }
  }

 private:
  [[nodiscard]] static Words normalise(const Words& words) {
    std::string line;
    for (const std::string& word : words) line += (line.empty() ? "" : " ") + word;
    return meteor_words(line);
  }
  [[nodiscard]] MeteorCaption number(const Words& words) {
    MeteorCaption caption;
    for (const std::string& word : words) caption.words.push_back(lexicon.number_of(word));
    caption.phrases = table.find(words);
    return caption;
  }
};

Counts compare(const Corpus& corpus, const MeteorMatcher& matcher, const MeteorCaption& hypothesis,
               const MeteorCaption& reference, int beam) {
  const std::vector<MeteorMatch> matches = meteor_align(matcher.matches(reference), beam);
  Counts counts{measure(hypothesis, corpus.lexicon), measure(reference, corpus.lexicon),
                static_cast<double>(meteor_chunks(matches))};
  for (const MeteorMatch& m : matches) {
    count(hypothesis, m.hypothesis, m.hypothesis_length, m.module, corpus.lexicon, counts.hypothesis);
    count(reference, m.reference, m.reference_length, m.module, corpus.lexicon, counts.reference);
  }
  return counts;
}

// The counts of the reference that scores best, the first of equals.
Counts best_of(const Corpus& corpus, const Corpus::Image& image, int beam) {
  const MeteorMatcher matcher(corpus.lexicon, corpus.table, image.hypothesis);
  Counts best;
  double best_score = -1;
  for (const MeteorCaption& reference : image.references) {
    const Counts counts = compare(corpus, matcher, image.hypothesis, reference, beam);
    const double score = counts.score();
    if (!(score > best_score)) continue;
    best = counts;
    best_score = score;
  }
  return best;
}

}  // namespace

struct Meteor::Modules {
  MeteorOptions options;
  std::optional<WordNet> wordnet;
};

Meteor::Meteor(const MeteorOptions& options) : modules_(std::make_unique<Modules>(Modules{options, {}})) {
  GMAIL_INPUT(options.beam >= 1, "[meteor] beam: expected at least 1, found ", options.beam);
  if (!options.wordnet.empty()) modules_->wordnet.emplace(options.wordnet);
}
Meteor::~Meteor() = default;
Meteor::Meteor(Meteor&&) noexcept = default;
Meteor& Meteor::operator=(Meteor&&) noexcept = default;

std::string Meteor::name() const {
  const bool synonyms = modules_->wordnet.has_value(), paraphrases = !modules_->options.paraphrases.empty();
  if (synonyms && paraphrases) return "METEOR";
  return concat("METEOR_exact_stem", synonyms ? "_synonym" : "", paraphrases ? "_paraphrase" : "");
}

CaptionScore Meteor::score(const std::vector<CaptionedImage>& images) const {
  GMAIL_INPUT(!images.empty(), "[meteor] there are no captions");
  for (size_t i = 0; i < images.size(); ++i)
    GMAIL_INPUT(!images[i].references.empty(), "[meteor] image ", i, " has no reference caption");
  const WordNet* wordnet = modules_->wordnet.has_value() ? &*modules_->wordnet : nullptr;
  const Corpus corpus(images, wordnet, modules_->options.paraphrases);
  CaptionScore score;
  Counts sum;
  for (const Corpus::Image& image : corpus.images) {
    const Counts counts = best_of(corpus, image, modules_->options.beam);
    score.each.push_back(counts.score());
    sum.add(counts);
  }
  score.mean = sum.score();
  return score;
}

}  // namespace gmail
