// The stages of `gmail demo`, in the order in which they run. Each leaves its files in the run folder and
// goes on from there if it was interrupted.
#pragma once

#include <nlohmann/json.hpp>

#include "cli/demo_recipe.h"
#include "cli/program.h"

namespace gmail::cli {

struct DemoRun {
  const Context& ctx;
  DemoRecipe recipe;
  std::filesystem::path out, weights;  // weights: folder with clip/ and generator/, empty = train them here
  uint64_t seed;
  std::string command;
  nlohmann::json seconds = nlohmann::json::object();
};

// <out>/photo (splits train, test, unseen and, if f_r is trained here, pretrain), <out>/singles, <out>/studio
void make_world(DemoRun& run);
// <out>/clip and <out>/generator, or the folders of `weights`
[[nodiscard]] std::filesystem::path clip_folder(DemoRun& run);
[[nodiscard]] std::filesystem::path generator_folder(DemoRun& run, const std::filesystem::path& clip);
// <out>/generated: an image for caption 0 of each record of train and unseen; <out>/judged: single solids
void draw_generated(DemoRun& run, const std::filesystem::path& clip, const std::filesystem::path& generator);
// <out>/adapter
void align_generated(DemoRun& run, const std::filesystem::path& clip);

// Stage B and evaluation of one arm: the numbers of results.json
[[nodiscard]] nlohmann::json run_arm(DemoRun& run, Arm arm, const std::filesystem::path& clip);
// "encoder", "paired_cosine", "generator"
[[nodiscard]] nlohmann::json judge_encoders(DemoRun& run, const std::filesystem::path& clip);

// results.json, results.md, contact_sheet.png
void report_demo(DemoRun& run, nlohmann::json results);

}  // namespace gmail::cli
