// gmail classify: names images with classes that are given in words.
#include <cmath>
#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/class_prompts.h"
#include "cli/commands.h"
#include "cli/encoders.h"
#include "eval/retrieval.h"

namespace gmail::cli {
namespace {

struct Options {
  EncoderFlags encoder;
  std::string classes, prompts, section;
  std::vector<std::string> files;
  int64_t top = 5;
  bool json = false;
};

void setup(Command& c, Options& o) {
  add_encoder_flags(c, o.encoder);
  c.option("classes", o.classes, "\"red ball,blue cube\", or a file: a class on each line, or classes = [..]")
      ->required();
  c.option("prompts", o.prompts,
           "file of templates, {} for the class: one a line, or templates = [..]; none: \"a {}\"");
  c.option("section", o.section, "data set of these files, headed by ## in OpenAI's prompts.md");
  c.option("top", o.top, "so many classes of each image");
  c.flag("json", o.json, "JSON lines: image, classes with probability, logit (scale times cosine), cosine");
  c.files("files", o.files, "images, JPEG or PNG")->required();
}

// Softmax of cosine * exp(logit scale) over all classes; `best` is in order, all of them.
std::vector<double> probabilities(const std::vector<Ranked>& best, double scale) {
  std::vector<double> p;
  double sum = 0;
  for (const Ranked& r : best)
    sum += p.emplace_back(std::exp(scale * static_cast<double>(r.score - best.front().score)));
  for (double& x : p) x /= sum;
  return p;
}

void run(Command& c, Options& o) {
  GMAIL_INPUT(o.top >= 1, "--top: expected at least 1, found ", o.top);
  const std::vector<std::string> names = class_names(o.classes, o.section),
                                 templates = prompt_templates(o.prompts, o.section);
  Encoders encoders(c.ctx(), o.encoder);
  const Tensor images = embed_files(c.ctx(), encoders, o.files);
  const Tensor classes = embed_classes(c.ctx(), encoders.model(), names, templates);
  const double scale = std::exp(encoders.model().clip.logit_scale.value.item());
  const auto ranked = rank(images, classes, std::ssize(names));
  for (size_t i = 0; i < o.files.size(); ++i) {
    const std::vector<double> p = probabilities(ranked[i], scale);
    const size_t shown = std::min(p.size(), static_cast<size_t>(o.top));
    nlohmann::ordered_json line{{"image", o.files[i]}, {"classes", nlohmann::ordered_json::array()}};
    std::string text = o.files[i];
    for (size_t k = 0; k < shown; ++k) {
      const std::string& name = names[static_cast<size_t>(ranked[i][k].index)];
      const double cosine = ranked[i][k].score;
      line["classes"].push_back(
          {{"class", name}, {"probability", p[k]}, {"logit", scale * cosine}, {"cosine", cosine}});
      char percent[16];
      std::snprintf(percent, sizeof percent, " %.1f%%", 100 * p[k]);
      text += "\t" + name + percent;
    }
    std::cout << (o.json ? line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) : text)
              << '\n';
  }
}

}  // namespace

void add_classify(Program& program) {
  program.add<Options>(program.app, "classify", "name images with classes given in words", setup, run);
}

}  // namespace gmail::cli
