// gmail caption run: captions for images.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/caption.h"
#include "cli/embeddings_file.h"
#include "cli/encoders.h"
#include "gmail/downstream.h"
#include "io/files.h"
#include "models/caption_decoder.h"
#include "train/progress.h"

namespace gmail::cli {
namespace {

struct RunOptions {
  EncoderFlags encoder;
  std::string captioner, embeddings, manifest, split, features, results;
  std::vector<std::string> files;
  int beam = 1;
  int64_t max_length = 0, min_length = 0;
  double temperature = 0, top_p = 0;
  bool released = false, no_cache = false, json = false, cuda_graph = false;
};

void setup_run(Command& c, RunOptions& o) {
  c.option("captioner", o.captioner, "captioner folder")->required();
  add_encoder_flags(c, o.encoder, false);  // embeddings need no model
  c.option("embeddings", o.embeddings, "instead of images: safetensors file with image_embeds");
  c.option("manifest", o.manifest, "instead of files: the images of a manifest");
  c.option("split", o.split, "only records of this split");
  add_features(c, o.features);
  c.option("beam", o.beam, "beams, ranked by log-probability a token; 1 = greedy");
  c.option("temperature", o.temperature, "draw each token from p^(1/T), by --seed; 0: do not draw");
  c.option("top-p", o.top_p, "draw from the most likely tokens that hold this share; 0: do not draw");
  c.option("max-length", o.max_length,
           "most tokens of a caption; 0: 32, or 67 as released, if there is room");
  c.option("min-length", o.min_length, "fewest tokens of a caption");
  c.flag("clipcap-released", o.released,
         "the rule of the released ClipCap: stop at token 13, mean log-probability at every step");
  c.flag("no-cache", o.no_cache, "read the whole text again at each step, for comparisons");
  c.flag("cuda-graph", o.cuda_graph, "on a GPU: record a step of the search once, launch it as one");
  c.flag("json", o.json, "JSON lines: tokens, logprob, caption, and image or id where there are images");
  c.option("results", o.results, "with --manifest: a COCO results file, [{image_id, caption}, ..], no lines");
  c.files("files", o.files, "images, JPEG or PNG");
}

DecodeOptions decode_options(const Command& c, const RunOptions& o, int64_t room) {
  const DecodeRule rule = o.released ? DecodeRule::clipcap : DecodeRule::standard;
  const int64_t longest = o.max_length != 0 ? o.max_length : default_max_length(rule, room);
  GMAIL_INPUT(o.beam >= 1, "--beam: expected at least 1, found ", o.beam);
  GMAIL_INPUT(longest >= 1 && longest <= room, "--max-length: expected 1 .. ", room,
              " for this captioner, found ", longest);
  GMAIL_INPUT(o.min_length >= 0 && o.min_length <= longest, "--min-length: expected 0 .. ", longest,
              ", found ", o.min_length);
  GMAIL_INPUT(o.temperature >= 0, "--temperature: expected a number from 0 on, found ", o.temperature);
  GMAIL_INPUT(o.top_p >= 0 && o.top_p <= 1, "--top-p: expected a number from 0 to 1, found ", o.top_p);
  const bool sample = o.temperature > 0 || o.top_p > 0;
  GMAIL_INPUT(!sample || (o.beam == 1 && !o.released),
              "--temperature and --top-p draw one caption: not with --beam, not with --clipcap-released");
  GMAIL_INPUT(!o.released || o.min_length == 0, "--min-length: the released rule knows none");
  return {.beams = o.beam,
          .min_length = o.min_length,
          .max_length = longest,
          .rule = rule,
          .sample = sample,
          .temperature = o.temperature > 0 ? o.temperature : 1,
          .top_p = o.top_p > 0 ? o.top_p : 1,
          .seed = c.common().seed,
          .cache = !o.no_cache,
          .cuda_graph = o.cuda_graph};
}

// What is captioned: a name for each row.
struct Inputs {
  std::vector<nlohmann::ordered_json> names;  // {"image": ..} and perhaps "id"; {} for a row of embeddings
  Tensor embeddings;                          // (N, E)
};

Inputs load_inputs(const Command& c, const RunOptions& o) {
  const int ways = (o.files.empty() ? 0 : 1) + (o.embeddings.empty() ? 0 : 1) + (o.manifest.empty() ? 0 : 1);
  GMAIL_INPUT(ways == 1, "expected either image files, or --manifest, or --embeddings");
  GMAIL_INPUT(o.results.empty() || !o.manifest.empty(),
              "--results needs --manifest: its ids are the image_ids");
  Inputs in;
  if (!o.embeddings.empty()) {
    in.embeddings = read_embeddings(SafetensorsFile(o.embeddings), "image_embeds");
    in.names.assign(static_cast<size_t>(in.embeddings.size(0)), nlohmann::ordered_json::object());
    return in;
  }
  GMAIL_INPUT(!o.encoder.model.empty(), "--model is required (gmail caption run --help)");
  const Manifest manifest = o.manifest.empty() ? Manifest{} : read_split(o.manifest, o.split);
  Encoders encoders(c.ctx(), o.encoder);
  if (o.manifest.empty()) {
    in.embeddings = embed_files(c.ctx(), encoders, o.files);
    for (const std::string& file : o.files) in.names.push_back({{"image", file}});
    return in;
  }
  EmbeddedRecords embedded = embed_records(c.ctx(), encoders, manifest, o.features);
  in.embeddings = embedded.images;
  for (const Record& r : embedded.manifest.records) in.names.push_back({{"id", r.id}, {"image", r.image}});
  return in;
}

// What a row came to: {"tokens": .., "logprob": ..} and "caption" where the captioner has a vocabulary
nlohmann::ordered_json result_of(const Captioner& captioner, const nlohmann::ordered_json& name,
                                 const Decoded& d) {
  nlohmann::ordered_json result = name;
  result["tokens"] = d.tokens;
  result["logprob"] = d.logprob;
  if (captioner.tokenizer) result["caption"] = captioner.tokenizer->decode(d.tokens);
  return result;
}

std::string line_of(const nlohmann::ordered_json& result, size_t row, bool json) {
  if (json) return result.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
  const std::string name =
      result.contains("image") ? result["image"].get<std::string>() : std::to_string(row);
  return name + "\t" +
         (result.contains("caption") ? result["caption"].get<std::string>() : result["tokens"].dump());
}

// COCO's form; an id that is a whole number is written as one
nlohmann::ordered_json coco_result(const nlohmann::ordered_json& result) {
  const auto id = result["id"].get<std::string>();
  nlohmann::ordered_json out;
  const bool whole =
      id.size() <= 18 && id.find_first_not_of("0123456789") == std::string::npos && id[0] != '0';
  out["image_id"] = whole ? nlohmann::ordered_json(std::stoll(id)) : nlohmann::ordered_json(id);
  out["caption"] = result["caption"];
  return out;
}

void run_run(Command& c, RunOptions& o) {
  constexpr int64_t kBatch = 64, kLong = 500;  // shorter jobs go without progress
  Captioner captioner = Captioner::load(o.captioner, c.ctx().device);
  const ClipCapConfig& config = captioner.model.config;
  const DecodeOptions how = decode_options(c, o, config.gpt.n_positions - config.prefix_length);
  if (config.released && !o.released)
    std::cerr << o.captioner
              << ": learned by the released loss, which knows no end: see --clipcap-released\n";
  GMAIL_INPUT(o.results.empty() || captioner.tokenizer, o.captioner,
              ": no vocabulary (vocab.json, merges.txt): --results needs captions");
  make_parent_dirs(o.results);
  const Inputs in = load_inputs(c, o);
  const int64_t n = in.embeddings.size(0);
  GMAIL_INPUT(in.embeddings.size(1) == config.clip_dim, o.captioner, ": trained on embeddings of ",
              config.clip_dim, " numbers, found ", in.embeddings.size(1));
  CaptionDecoder decoder(c.ctx(), captioner.model, how);
  Progress progress("caption", n, 0, o.results.empty() || n < kLong);
  auto results = nlohmann::ordered_json::array();
  for (int64_t begin = 0; begin < n; begin += kBatch) {
    const int64_t end = std::min(n, begin + kBatch);
    const auto decoded = decoder.decode(in.embeddings.rows(begin, end));
    for (size_t i = 0; i < decoded.size(); ++i) {
      const size_t row = static_cast<size_t>(begin) + i;
      const auto result = result_of(captioner, in.names[row], decoded[i]);
      if (o.results.empty())
        std::cout << line_of(result, row, o.json) << '\n';
      else
        results.push_back(coco_result(result));
    }
    progress.update(end, "", end, "images");
  }
  if (o.results.empty()) return;
  write_atomically(o.results, results.dump(0, ' ', false, nlohmann::json::error_handler_t::replace) + "\n");
  std::cout << "caption run: " << n << " captions, " << o.results << '\n';
}

}  // namespace

void add_caption_run(Program& program, CLI::App& group) {
  program.add<RunOptions>(group, "run", "print a caption for each image, or write them as COCO results",
                          setup_run, run_run);
}

}  // namespace gmail::cli
