// gmail eval retrieval | classification | caption | embedding: numbers for a table, on the terminal and as
// JSON.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/class_prompts.h"
#include "cli/commands.h"
#include "cli/embeddings_file.h"
#include "cli/encoders.h"
#include "cli/eval_captions.h"
#include "cli/eval_report.h"
#include "cli/eval_retrieval.h"
#include "eval/embedding_stats.h"
#include "eval/zero_shot.h"
#include "io/files.h"
#include "io/json.h"

namespace gmail::cli {
namespace {

struct ClassificationOptions {
  EncoderFlags encoder;
  std::string manifest, split, prompts, classes, section, out;
};

void setup_classification(Command& c, ClassificationOptions& o) {
  add_encoder_flags(c, o.encoder);
  c.option("manifest", o.manifest, "images with labels; records without one are left out")->required();
  c.option("split", o.split, "only records of this split");
  c.option("prompts", o.prompts,
           "file of templates, {} for the class: one a line, or templates = [..]; none: \"a {}\"");
  c.option("classes", o.classes,
           "file with a class on each line, or classes = [..], or a,b,c; none: the labels that occur");
  c.option("section", o.section, "data set of these files, headed by ## in OpenAI's prompts.md");
  c.option("out", o.out, "JSON file for the result");
}

// The labelled records; `unlabelled` counts the others.
Manifest labelled(Manifest manifest, int64_t& unlabelled) {
  unlabelled = manifest.size();
  std::erase_if(manifest.records, [](const Record& r) { return !r.label; });
  unlabelled -= manifest.size();
  GMAIL_INPUT(manifest.size() > 0, manifest.file.string(), ": no record has a \"label\"");
  return manifest;
}

std::vector<std::string> classes_of(const ClassificationOptions& o, const Manifest& manifest) {
  if (!o.classes.empty()) return class_names(o.classes, o.section);
  std::vector<std::string> names;
  for (const Record& r : manifest.records) names.push_back(*r.label);
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  return names;
}

Tensor label_ids(const Manifest& manifest, const std::vector<std::string>& names) {
  std::vector<int32_t> ids;
  for (const Record& r : manifest.records) {
    const auto found = std::find(names.begin(), names.end(), *r.label);
    GMAIL_INPUT(found != names.end(), manifest.file.string(), ": record \"", r.id,
                "\": field \"label\": expected one of the ", names.size(), " classes, found \"", *r.label,
                "\"");
    ids.push_back(static_cast<int32_t>(found - names.begin()));
  }
  return Tensor::from(ids, {std::ssize(ids)});
}

void run_classification(Command& c, ClassificationOptions& o) {
  make_parent_dirs(o.out);
  int64_t unlabelled = 0;
  const Manifest manifest = labelled(read_split(o.manifest, o.split), unlabelled);
  const std::vector<std::string> names = classes_of(o, manifest),
                                 templates = prompt_templates(o.prompts, o.section);
  (void)label_ids(manifest, names);  // an unknown label is said before the work
  Encoders encoders(c.ctx(), o.encoder);
  const EmbeddedRecords records = embed_records(c.ctx(), encoders, manifest);
  const Tensor classes = embed_classes(c.ctx(), encoders.model(), names, templates);
  const Tensor labels = label_ids(records.manifest, names);
  const Accuracy a = accuracy(classify(records.images, classes), labels, std::ssize(names));
  Result per_class = Result::object();
  for (size_t i = 0; i < names.size(); ++i)
    per_class[names[i]] = a.per_class[i] < 0 ? Result() : Result(a.per_class[i]);
  report({{"top1", a.top1},
          {"top5", top_k(records.images, classes, labels, 5)},
          {"mean_per_class", a.mean_per_class},
          {"images", a.images},
          {"unlabelled", unlabelled},
          {"classes", names.size()},
          {"prompts", templates.size()},
          {"per_class", per_class}},
         o.out);
}

struct EmbeddingOptions {
  std::string embeddings, other, out;
};

void setup_embedding(Command& c, EmbeddingOptions& o) {
  c.option("embeddings", o.embeddings, "safetensors file with image_embeds")->required();
  c.option("other", o.other,
           "file whose image_embeds are row by row the partners; none: text_embeds of the same file");
  c.option("out", o.out, "JSON file for the result");
}

void run_embedding(Command&, EmbeddingOptions& o) {
  make_parent_dirs(o.out);
  const SafetensorsFile file(o.embeddings);
  const Tensor x = read_embeddings(file, "image_embeds");
  const bool texts = o.other.empty() && file.has("text_embeds"), alone = o.other.empty() && !texts;
  Tensor y;
  if (!alone)
    y = texts ? read_embeddings(file, "text_embeds")
              : read_embeddings(SafetensorsFile(o.other), "image_embeds");
  // a text belongs to the image that text_image names, or else to the one of its row
  const bool owned = texts && file.has("text_image");
  Tensor partner = x;
  if (owned) {
    const Tensor rows = read_text_image(file, y.size(0), x.size(0));
    const std::vector<int64_t> index(rows.span<int32_t>().begin(), rows.span<int32_t>().end());
    partner = take_rows(x, index);
  }
  Result result{{"rows", x.size(0)},
                {"other", alone   ? "none"
                          : texts ? "text_embeds"
                                  : "image_embeds of " + o.other}};
  about_file(o.embeddings, [&] {
    if (!alone) {
      const PairStats pairs = pair_stats(partner, y);
      result["pairs"] = y.size(0);
      result["paired_cosine"] = pairs.cosine;
      result["paired_cosine_std"] = pairs.cosine_std;
      result["modality_gap"] = modality_gap(x, y);
      result["alignment"] = pairs.alignment;
    }
    result["uniformity"] = x.size(0) > 1 ? Result(uniformity(x)) : Result();
    if (!alone) result["uniformity_other"] = y.size(0) > 1 ? Result(uniformity(y)) : Result();
  });
  report(result, o.out);
}

}  // namespace

void add_eval(Program& program) {
  CLI::App& group = program.group("eval", "retrieval, classification, captions, embeddings in numbers");
  add_eval_retrieval(program, group);
  program.add<ClassificationOptions>(group, "classification",
                                     "zero-shot accuracy on the labels of a manifest, percent",
                                     setup_classification, run_classification);
  add_eval_caption(program, group);
  program.add<EmbeddingOptions>(group, "embedding", "paired cosine, modality gap, alignment, uniformity",
                                setup_embedding, run_embedding);
}

}  // namespace gmail::cli
