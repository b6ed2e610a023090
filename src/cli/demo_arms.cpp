#include "cli/demo.h"
#include "cli/tabletop_judge.h"
#include "data/tabletop_captions.h"
#include "eval/caption_suite.h"
#include "eval/embedding_stats.h"
#include "eval/retrieval.h"

namespace gmail::cli {
namespace {

Manifest photo(const DemoRun& run, const std::string& split) {
  return read_manifest(run.out / "photo" / "manifest.jsonl").filter(split);
}

StoreOptions store_options(const ClipModel& model) {
  return {.preprocess = model.preprocess, .cache = {}, .progress = {}};
}

TrainReport train_captioner(DemoRun& run, const ClipModel& base, const EmbeddedPairs& data,
                            const std::filesystem::path& out) {
  const DemoRecipe& r = run.recipe;
  CaptionerOptions o;
  o.model.prefix_length = r.prefix_length;
  o.model.normalize_prefix = true;
  o.model.gpt = r.gpt;
  o.batch = r.caption_batch;
  o.train = recipe_training(out, r.caption_steps, r.caption_lr, run.seed, run.command);
  o.train.cuda_graph = run.recipe.cuda_graph;
  return gmail::train_captioner(run.ctx, base.tokenizer, data, o);
}

TrainReport tune_text(DemoRun& run, const std::filesystem::path& clip, const EmbeddedPairs& data,
                      const std::filesystem::path& out) {
  const DemoRecipe& r = run.recipe;
  TextTuningOptions o;
  o.lora_rank = r.text_lora_rank;
  o.batch = r.text_batch;
  o.train = recipe_training(out, r.text_steps, r.text_lr, run.seed, run.command);
  o.train.cuda_graph = run.recipe.cuda_graph;
  return finetune_text(run.ctx, clip, data, o);
}

// Captions of the test photos against their five references, as gmail eval caption scores them.
nlohmann::json score_captions(const std::vector<std::string>& captions, const Manifest& test) {
  std::vector<CaptionToScore> images;
  int64_t right = 0;
  for (int64_t i = 0; i < test.size(); ++i) {
    const std::string& caption = captions[static_cast<size_t>(i)];
    images.push_back({test[i].id, test[i].image, caption, test[i].captions});
    right += same_objects(caption, test[i].captions.front()) ? 1 : 0;
  }
  CaptionSuite suite;
  suite.meteor_options.wordnet = find_wordnet();
  const CaptionScores scores = gmail::score_captions(tokenized(images), suite);
  nlohmann::json all = nlohmann::json::object();
  for (const MetricScore& m : scores.metrics) all[m.key] = m.score.mean;
  return {{"cider", scores.overall("CIDEr")},
          {"bleu4", 100 * scores.overall("Bleu_4")},
          {"objects", 100.0 * static_cast<double>(right) / static_cast<double>(test.size())},
          {"captions", all}};
}

nlohmann::json score_retrieval(const Context& ctx, ClipModel& h, const Tensor& images, const Manifest& test) {
  std::vector<std::string> texts;
  std::vector<int32_t> image_of;
  for (int64_t i = 0; i < test.size(); ++i)
    for (const std::string& caption : test[i].captions) {
      texts.push_back(caption);
      image_of.push_back(static_cast<int32_t>(i));
    }
  const Tensor owner = Tensor::from(image_of, {static_cast<int64_t>(image_of.size())});
  const Retrieval r = retrieval(images, embed_texts(ctx, h, texts), owner);
  return {{"i2t_r1", r.i2t_r1}, {"i2t_r5", r.i2t_r5}, {"i2t_r10", r.i2t_r10},
          {"t2i_r1", r.t2i_r1}, {"t2i_r5", r.t2i_r5}, {"t2i_r10", r.t2i_r10}};
}

}  // namespace

nlohmann::json run_arm(DemoRun& run, Arm arm, const std::filesystem::path& clip) {
  const std::filesystem::path out = run.out / "arms" / name_of(arm);
  ClipModel base = ClipModel::load(clip, run.ctx.device);
  GenClip adapter = GenClip::load(run.out / "adapter", base.clip);
  const Manifest generated = read_manifest(run.out / "generated" / "manifest.jsonl").filter("train");
  const EmbeddedPairs data = arm_data(run.ctx, arm, base, adapter, generated, photo(run, "train"), run.seed);
  train_captioner(run, base, data, out / "captioner");
  tune_text(run, clip, data, out / "text");

  // the CLIP flow: real test photos through f_r
  const Manifest test = photo(run, "test"), singles = read_manifest(run.out / "singles" / "manifest.jsonl");
  const ImageStore test_images(test, store_options(base)), single_images(singles, store_options(base));
  const ImageEncoder f_r = real_encoder(base.clip.image, &adapter);
  const Tensor x_r = embed_all_images(run.ctx, f_r, test_images, base.preprocess.norm);
  Captioner captioner = Captioner::load(out / "captioner", run.ctx.device);
  nlohmann::json result = score_captions(
      captioner.caption(run.ctx, x_r, {.beams = 1, .max_length = 30, .cuda_graph = run.recipe.cuda_graph}),
      test);
  ClipModel h = ClipModel::load(out / "text", run.ctx.device);
  result.update(score_retrieval(run.ctx, h, x_r, test));
  const Tensor solids = embed_all_images(run.ctx, f_r, single_images, base.preprocess.norm);
  result["zero_shot_top1"] = name_solids(run.ctx, h, solids, singles).both;
  return result;
}

nlohmann::json judge_encoders(DemoRun& run, const std::filesystem::path& clip) {
  ClipModel base = ClipModel::load(clip, run.ctx.device);
  GenClip adapter = GenClip::load(run.out / "adapter", base.clip);
  const ImageEncoder f_r = real_encoder(base.clip.image, nullptr), f_g = generated_encoder(adapter);
  const auto embed = [&](const ImageEncoder& encode, const Manifest& manifest) {
    return embed_all_images(run.ctx, encode, ImageStore(manifest, store_options(base)), base.preprocess.norm);
  };
  const Manifest singles = read_manifest(run.out / "singles" / "manifest.jsonl");
  const NamingAccuracy named = name_solids(run.ctx, base, embed(f_r, singles), singles);
  // pairs that alignment never saw; both manifests are in the order of the real records
  const Manifest unseen_g = read_manifest(run.out / "generated" / "manifest.jsonl").filter("unseen");
  const Tensor x_r = embed(f_r, photo(run, "unseen"));
  const double before = pair_stats(embed(f_r, unseen_g), x_r).cosine,
               after = pair_stats(embed(f_g, unseen_g), x_r).cosine;
  const Manifest judged = read_manifest(run.out / "judged" / "manifest.jsonl");
  const NamingAccuracy drawn = name_solids(run.ctx, base, embed(f_g, judged), judged);
  const NamingAccuracy drawn_f_r = name_solids(run.ctx, base, embed(f_r, judged), judged);
  return {{"encoder", {{"colour_top1", named.colour}, {"shape_top1", named.shape}}},
          {"paired_cosine", {{"before", before}, {"after", after}}},
          {"generator",
           {{"colour_accuracy", drawn.colour},
            {"shape_accuracy", drawn.shape},
            {"colour_accuracy_by_f_r", drawn_f_r.colour},
            {"shape_accuracy_by_f_r", drawn_f_r.shape}}}};
}

}  // namespace gmail::cli
