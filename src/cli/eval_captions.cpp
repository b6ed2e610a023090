// gmail eval caption: captions against their references, in the numbers of COCO's evaluation.
#include "cli/eval_captions.h"

#include <algorithm>
#include <iomanip>
#include <iostream>

#include "cli/encoders.h"
#include "cli/eval_caption_clip.h"
#include "cli/eval_caption_input.h"
#include "cli/eval_report.h"
#include "core/check.h"
#include "eval/caption_suite.h"
#include "io/files.h"
#include "report/markdown.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string annotations, results, manifest, split, captions, metrics, cider = "d", out;
  std::string wordnet, paraphrases, word_vectors, spice, clip, images;
  double spice_timeout = 3600;
  bool strict = false, wmd_normalize = false;
};

void setup(Command& c, Options& o) {
  c.option("annotations", o.annotations, "the references, COCO's JSON: {\"images\", \"annotations\"}");
  c.option("results", o.results, "the captions, COCO's JSON: [{\"image_id\", \"caption\"}]");
  c.option("manifest", o.manifest, "instead of annotations: the references are all captions of each record");
  c.option("split", o.split, "with --manifest: only records of this split");
  c.option("captions", o.captions,
           "with --manifest, instead of results: lines {\"id\" or \"image\": .., \"caption\": ..}, as "
           "caption run --json prints "
           "them");
  c.option("metrics", o.metrics,
           "only these of bleu,meteor,rouge,cider,wmd,spice,clipscore; none: the first four, and those whose "
           "files are given");
  c.option("cider", o.cider,
           "d: CIDEr-D, which COCO's evaluation calls CIDEr; plain: the paper's, also on stems")
      ->one_of({"d", "plain"});
  c.option("wordnet", o.wordnet,
           "METEOR: folder of WordNet's data files, or none; without it: where the system keeps them, if it "
           "does");
  c.option("paraphrases", o.paraphrases,
           "METEOR: its paraphrase table, unpacked; without it: no paraphrases");
  c.option("word-vectors", o.word_vectors, "WMD: vectors in word2vec's binary or text form, or GloVe's");
  c.flag("wmd-normalize", o.wmd_normalize, "WMD: vectors of length 1; without it: as the file has them");
  c.option("spice", o.spice, "SPICE: folder of its authors' program, spice-1.0.jar and lib/; needs Java");
  c.option("spice-timeout", o.spice_timeout, "SPICE: seconds after which the program is stopped");
  c.option("clip", o.clip, "CLIPScore and RefCLIPScore: CLIP folder; published numbers are of ViT-B/32");
  c.option("images", o.images,
           "CLIPScore: folder of the images, with COCO's names or those of the annotations; a manifest names "
           "its own");
  c.flag("strict", o.strict,
         "a result for an unknown image, a missing image, a duplicate or an empty caption is an error");
  c.option("out", o.out, "JSON file for the result: overall, per image, counts, what ran");
}

struct Plan {
  CaptionSuite suite;
  bool clip_score = false;
};

// What runs: what --metrics names, or all that can.
Plan plan_of(const Options& o) {
  Plan plan;
  CaptionSuite& s = plan.suite;
  struct Metric {
    std::string name;
    bool* on;
    std::string needs, given;  // the flag that brings its file
  };
  const std::vector<Metric> known = {{"bleu", &s.bleu, "", ""},
                                     {"meteor", &s.meteor, "", ""},
                                     {"rouge", &s.rouge, "", ""},
                                     {"cider", &s.cider, "", ""},
                                     {"wmd", &s.wmd, "--word-vectors", o.word_vectors},
                                     {"spice", &s.spice, "--spice", o.spice},
                                     {"clipscore", &plan.clip_score, "--clip", o.clip}};
  for (const Metric& m : known) *m.on = o.metrics.empty() && (m.needs.empty() || !m.given.empty());
  if (!o.metrics.empty())
    for (const std::string& name : comma_parts(o.metrics)) {
      const auto found = std::find_if(known.begin(), known.end(), [&](auto& m) { return m.name == name; });
      GMAIL_INPUT(found != known.end(), "--metrics: unknown \"", name,
                  "\"; known are bleu, meteor, rouge, cider, wmd, spice, clipscore, with commas between");
      *found->on = true;
    }
  for (const Metric& m : known) {
    GMAIL_INPUT(!*m.on || m.needs.empty() || !m.given.empty(), "--metrics: ", m.name, " needs ", m.needs);
    GMAIL_INPUT(*m.on || m.given.empty(), m.needs, " is given, and --metrics leaves ", m.name, " out");
  }
  s.plain_cider = o.cider == "plain";
  s.meteor_options.paraphrases = o.paraphrases;
  if (o.wordnet != "none")
    s.meteor_options.wordnet = o.wordnet.empty() ? find_wordnet() : std::filesystem::path(o.wordnet);
  s.word_vectors = o.word_vectors;
  s.unit_vectors = o.wmd_normalize;
  s.spice_options = {o.spice, o.spice_timeout};
  GMAIL_INPUT(o.spice_timeout > 0, "--spice-timeout: expected seconds, found ", o.spice_timeout);
  return plan;
}

CaptionSet read_set(const Options& o) {
  GMAIL_INPUT(o.annotations.empty() != o.manifest.empty(),
              "expected both --annotations and --results, or --manifest");
  GMAIL_INPUT(o.split.empty() || !o.manifest.empty(), "--split is for --manifest");
  GMAIL_INPUT(o.annotations.empty() || (o.captions.empty() && !o.results.empty()),
              "expected both --annotations and --results");
  GMAIL_INPUT(o.results.empty() != o.captions.empty(),
              "expected --manifest with either --results or --captions");
  if (!o.annotations.empty()) return read_coco_captions(o.annotations, o.results);
  return o.results.empty() ? read_manifest_captions(o.manifest, o.split, o.captions)
                           : read_coco_results(read_split(o.manifest, o.split), o.results);
}

// What is not as it should be in a set: said, or with `strict` an error.
void judge(const CaptionSet& set, const Noted& empty, bool strict) {
  std::string all;
  for (const auto& [what, noted] :
       {std::pair("results for unknown images", &set.unknown), std::pair("second results", &set.duplicates),
        std::pair("images without a result", &set.missing),
        std::pair("images without a reference", &set.unreferenced), std::pair("empty captions", &empty)})
    if (noted->count > 0) all += (all.empty() ? "" : "; ") + std::string(what) + ": " + noted->text();
  GMAIL_INPUT(!strict || all.empty(), "--strict: ", all);
  if (!all.empty()) std::cerr << all << '\n';
}

// captions without a word, as the tokenizer has them
Noted empty_captions(const CaptionSet& set, const std::vector<CaptionedImage>& images) {
  Noted empty;
  for (size_t i = 0; i < images.size(); ++i)
    if (images[i].hypothesis.empty()) empty.note(set.images[i].id);
  return empty;
}

Result counts_of(const CaptionSet& set, const Noted& empty, const Bleu& b) {
  int64_t references = 0;
  for (const CaptionToScore& image : set.images) references += std::ssize(image.references);
  return {{"images", set.images.size()},
          {"references", references},
          {"results", set.results},
          {"unknown", set.unknown.count},
          {"duplicates", set.duplicates.count},
          {"missing", set.missing.count},
          {"unreferenced", set.unreferenced.count},
          {"empty", empty.count},
          {"testlen", b.hypothesis_length},
          {"reflen", b.reference_length},
          {"guess", b.guess},
          {"correct", b.correct}};
}

Result overall_of(const CaptionScores& scores) {
  Result out = Result::object();
  for (const MetricScore& m : scores.metrics) out[m.key] = m.score.mean;
  return out;
}

Result per_image_of(const CaptionSet& set, const CaptionScores& scores) {
  Result out = Result::object();
  // appended: looking for a key would take as long as there are images
  Result::object_t::Container& images = out.get_ref<Result::object_t&>();
  for (size_t i = 0; i < set.images.size(); ++i) {
    Result one = Result::object();
    for (const MetricScore& m : scores.metrics) one[m.key] = m.score.each[i];
    images.emplace_back(set.images[i].id, std::move(one));
  }
  return out;
}

Result or_none(const std::filesystem::path& path) { return path.empty() ? Result() : Result(path.string()); }

Result settings_of(const Options& o, const Plan& plan, const CaptionScores& scores) {
  const CaptionSuite& suite = plan.suite;
  Result s{{"references", o.annotations.empty() ? o.manifest : o.annotations},
           {"captions", o.results.empty() ? o.captions : o.results},
           {"tokenizer", "PTBTokenizer 3.4.1, lower case, without punctuation"}};
  if (suite.cider) s["CIDEr"] = suite.plain_cider ? "plain: no clipping, no length penalty" : "CIDEr-D";
  if (suite.meteor)
    s["METEOR"] = {{"wordnet", or_none(suite.meteor_options.wordnet)},
                   {"paraphrases", or_none(suite.meteor_options.paraphrases)}};
  if (suite.wmd)
    s["WMD"] = {{"vectors", o.word_vectors},
                {"dimension", scores.dimension},
                {"unit_length", suite.unit_vectors},
                {"words", scores.words},
                {"words_with_vector", scores.words_with_vector}};
  if (suite.spice) s["SPICE"] = {{"folder", o.spice}};
  if (plan.clip_score)
    s["CLIPScore"] = {
        {"model", o.clip}, {"prefix", kClipScorePrefix}, {"note", "published numbers are of CLIP ViT-B/32"}};
  return s;
}

void print_scores(const CaptionScores& scores, const Result& counts) {
  std::cout << counts["images"] << " images, " << counts["references"] << " references\n";
  for (const MetricScore& m : scores.metrics)
    std::cout << std::left << std::setw(28) << m.key << fixed(m.score.mean, 4) << '\n';
}

void run(Command& c, Options& o) {
  const Plan plan = plan_of(o);
  make_parent_dirs(o.out);
  CaptionSet set = read_set(o);
  GMAIL_INPUT(!plan.clip_score || o.manifest.empty() == !o.images.empty(),
              "--clip needs --images with --annotations, and goes without it with --manifest");
  if (plan.clip_score && !o.images.empty()) find_images(o.images, set);
  const std::vector<CaptionedImage> images = tokenized(set.images);
  const Noted empty = empty_captions(set, images);
  judge(set, empty, o.strict);
  if (plan.suite.cider && images.size() == 1)
    std::cerr << "CIDEr of a single image is 0: every word is in it\n";
  ClipScores clip;
  if (plan.clip_score) clip = score_with_clip(c.ctx(), o.clip, set);
  CaptionScores scores = score_captions(images, plan.suite);
  if (plan.suite.wmd && scores.words_with_vector == 0)
    std::cerr << "WMD: none of the " << scores.words << " words has a vector in " << o.word_vectors << '\n';
  if (plan.clip_score) {
    scores.metrics.push_back({"CLIPScore", std::move(clip.clip)});
    scores.metrics.push_back({"RefCLIPScore", std::move(clip.reference)});
  }
  const Result overall = overall_of(scores), counts = counts_of(set, empty, scores.counts);
  Result metrics = Result::array();
  for (const MetricScore& m : scores.metrics) metrics.push_back(m.key);
  const Result result{{"metrics", metrics},
                      {"settings", settings_of(o, plan, scores)},
                      {"counts", counts},
                      {"overall", overall},
                      {"per_image", per_image_of(set, scores)}};
  save(result, o.out);
  print_scores(scores, counts);
}

}  // namespace

void add_eval_caption(Program& program, CLI::App& group) {
  program.add<Options>(group, "caption",
                       "captions in the numbers of COCO's evaluation; WMD, SPICE, CLIPScore", setup, run);
}

}  // namespace gmail::cli
