// gmail eval caption: captions against their references, in the numbers of COCO's evaluation.
#include "cli/eval_captions.h"

#include <algorithm>
#include <iomanip>
#include <iostream>

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
  bool strict = false;
};

void setup(Command& c, Options& o) {
  c.option("annotations", o.annotations, "the references, COCO's JSON: {\"images\", \"annotations\"}");
  c.option("results", o.results, "the captions, COCO's JSON: [{\"image_id\", \"caption\"}]");
  c.option("manifest", o.manifest, "instead: the references are all captions of each record");
  c.option("split", o.split, "with --manifest: only records of this split");
  c.option("captions", o.captions,
           "with --manifest: lines {\"id\" or \"image\": .., \"caption\": ..}, as caption run --json prints "
           "them");
  c.option("metrics", o.metrics, "only these of bleu,rouge,cider; none: all");
  c.option("cider", o.cider,
           "d: CIDEr-D, which COCO's evaluation calls CIDEr; plain: the paper's, also on stems")
      ->one_of({"d", "plain"});
  c.flag("strict", o.strict,
         "a result for an unknown image, a missing image, a duplicate or an empty caption is an error");
  c.option("out", o.out, "JSON file for the result: overall, per image, counts, what ran");
}

std::vector<std::string> split_list(const std::string& list) {
  std::vector<std::string> parts;
  for (size_t begin = 0; begin <= list.size();) {
    const size_t end = std::min(list.find(',', begin), list.size());
    parts.push_back(list.substr(begin, end - begin));
    begin = end + 1;
  }
  return parts;
}

CaptionSuite suite_of(const Options& o) {
  CaptionSuite suite;
  suite.plain_cider = o.cider == "plain";
  if (o.metrics.empty()) return suite;
  const std::vector<std::pair<std::string, bool*>> known = {
      {"bleu", &suite.bleu}, {"rouge", &suite.rouge}, {"cider", &suite.cider}};
  for (const auto& [name, on] : known) *on = false;
  for (const std::string& name : split_list(o.metrics)) {
    const auto found = std::find_if(known.begin(), known.end(), [&](auto& k) { return k.first == name; });
    GMAIL_INPUT(found != known.end(), "--metrics: expected bleu, rouge, cider with commas between, found \"",
                name, "\"");
    *found->second = true;
  }
  return suite;
}

CaptionSet read_set(const Options& o) {
  const bool coco = !o.annotations.empty() || !o.results.empty(),
             lines = !o.manifest.empty() || !o.captions.empty() || !o.split.empty();
  GMAIL_INPUT(coco != lines, "expected either --annotations and --results, or --manifest and --captions");
  GMAIL_INPUT(lines || (!o.annotations.empty() && !o.results.empty()),
              "expected both --annotations and --results");
  GMAIL_INPUT(coco || (!o.manifest.empty() && !o.captions.empty()),
              "expected both --manifest and --captions");
  return coco ? read_coco_captions(o.annotations, o.results)
              : read_manifest_captions(o.manifest, o.split, o.captions);
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

Result settings_of(const Options& o, const CaptionSuite& suite) {
  Result s{{"references", o.annotations.empty() ? o.manifest : o.annotations},
           {"captions", o.results.empty() ? o.captions : o.results},
           {"tokenizer", "PTBTokenizer 3.4.1, lower case, without punctuation"}};
  if (suite.cider) s["CIDEr"] = suite.plain_cider ? "plain: no clipping, no length penalty" : "CIDEr-D";
  return s;
}

void print_scores(const CaptionScores& scores, const Result& counts) {
  std::cout << counts["images"] << " images, " << counts["references"] << " references\n";
  for (const MetricScore& m : scores.metrics)
    std::cout << std::left << std::setw(28) << m.key << fixed(m.score.mean, 4) << '\n';
}

void run(Command&, Options& o) {
  const CaptionSuite suite = suite_of(o);
  make_parent_dirs(o.out);
  const CaptionSet set = read_set(o);
  const std::vector<CaptionedImage> images = tokenized(set.images);
  const Noted empty = empty_captions(set, images);
  judge(set, empty, o.strict);
  if (suite.cider && images.size() == 1) std::cerr << "CIDEr of a single image is 0: every word is in it\n";
  const CaptionScores scores = score_captions(images, suite);
  const Result overall = overall_of(scores), counts = counts_of(set, empty, scores.counts);
  Result metrics = Result::array();
  for (const MetricScore& m : scores.metrics) metrics.push_back(m.key);
  const Result result{{"metrics", metrics},
                      {"settings", settings_of(o, suite)},
                      {"counts", counts},
                      {"overall", overall},
                      {"per_image", per_image_of(set, scores)}};
  if (!o.out.empty()) write_atomically(o.out, result.dump(2) + "\n");
  print_scores(scores, counts);
}

}  // namespace

void add_eval_caption(Program& program, CLI::App& group) {
  program.add<Options>(group, "caption", "BLEU, ROUGE-L, CIDEr of captions, as COCO's evaluation counts them",
                       setup, run);
}

}  // namespace gmail::cli
