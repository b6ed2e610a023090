#include <iostream>

#include "cli/demo.h"
#include "data/image.h"
#include "io/files.h"
#include "io/json.h"
#include "report/contact_sheet.h"
#include "report/markdown.h"

namespace gmail::cli {
namespace {

constexpr int64_t kShown = 24;

void write_contact_sheet(const DemoRun& run) {
  const Manifest real = read_manifest(run.out / "photo" / "manifest.jsonl").filter("train");
  const Manifest generated = read_manifest(run.out / "generated" / "manifest.jsonl").filter("train");
  std::vector<Image> above, below;
  std::vector<std::string> captions;
  for (const RecordPair& p : pairs(generated, real)) {
    if (std::ssize(captions) == kShown) break;
    above.push_back(read_image(real.image_path(p.real)));
    below.push_back(read_image(generated.image_path(p.generated)));
    captions.push_back(generated[p.generated].captions.front());
  }
  write_png(run.out / "contact_sheet.png",
            draw(compare_by_caption("Real images above, generated from the same caption below", "real", above,
                                    "generated", below, captions)));
}

// METEOR's key in the scores of captions: it names the modules that ran
std::string meteor_key(const nlohmann::json& scores) {
  for (const auto& [key, value] : scores.items())
    if (key.starts_with("METEOR")) return key;
  return "";
}

std::vector<std::string> arm_row(const std::string& name, const nlohmann::json& a) {
  const nlohmann::json& captions = a["captions"];
  std::vector<std::string> row{name, fixed(a["cider"], 3), fixed(a["bleu4"]),
                               fixed(100 * captions[meteor_key(captions)].get<double>()),
                               fixed(a["objects"])};
  for (const char* key : {"i2t_r1", "i2t_r5", "i2t_r10", "t2i_r1", "t2i_r5", "t2i_r10", "zero_shot_top1"})
    row.push_back(fixed(a[key]));
  return row;
}

double mean_r1(const nlohmann::json& a) {
  return (a["i2t_r1"].get<double>() + a["t2i_r1"].get<double>()) / 2;
}

// how much of the way from `generated` to `real` the arm `gmail` goes
std::string closed(double generated, double gmail, double real) {
  return real > generated ? fixed(100 * (gmail - generated) / (real - generated), 0) + "%" : "n/a";
}

std::string markdown(const nlohmann::json& r) {
  const auto& arms = r["arms"];
  std::vector<std::vector<std::string>> rows;
  for (const Arm arm : kArms) rows.push_back(arm_row(name_of(arm), arms[name_of(arm)]));
  const auto number = [&](const char* group, const char* key, int digits) {
    return fixed(r[group][key], digits);
  };
  const auto cider = [&](const char* arm) { return arms[arm]["cider"].get<double>(); };
  return "# GMAIL on the built-in world\n\nAll arms see the same captions, equally many images and steps, "
         "and are "
         "evaluated on real test images through f_r.\n\n" +
         markdown_table({"arm", "CIDEr-D", "BLEU-4", meteor_key(arms["real"]["captions"]), "objects %",
                         "i2t R@1", "R@5", "R@10", "t2i R@1", "R@5", "R@10", "zero-shot %"},
                        rows) +
         "\nCaptions are scored as `gmail eval caption` does; METEOR by the modules in its name. Alignment "
         "closes " +
         closed(cider("generated"), cider("gmail"), cider("real")) + " of the CIDEr gap and " +
         closed(mean_r1(arms["generated"]), mean_r1(arms["gmail"]), mean_r1(arms["real"])) +
         " of the gap in mean R@1 between `generated` and `real`.\n\n" + "- f_r names the colour of " +
         number("encoder", "colour_top1", 1) + "% and the shape of " + number("encoder", "shape_top1", 1) +
         "% of single solids\n" +
         "- paired cosine on pairs that alignment never saw: " + number("paired_cosine", "before", 3) +
         " before, " + number("paired_cosine", "after", 3) + " after\n" +
         "- generated images show the colour of their caption in " +
         number("generator", "colour_accuracy", 1) + "% and its shape in " +
         number("generator", "shape_accuracy", 1) + "% (judged by the aligned f_g)\n";
}

}  // namespace

void report_demo(DemoRun& run, nlohmann::json results) {
  write_contact_sheet(run);
  const std::string text = markdown(results);
  write_atomically(run.out / "results.md", text);
  write_json(run.out / "results.json", results);
  std::cout << '\n'
            << text << "\nwritten: " << (run.out / "results.json").string()
            << ", results.md, contact_sheet.png\n";
}

}  // namespace gmail::cli
