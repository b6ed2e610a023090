// gmail caption train: ClipCap on the embeddings of an arm. gmail caption run: captions for images.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/arm_flags.h"
#include "cli/commands.h"
#include "cli/embeddings_file.h"
#include "cli/encoders.h"
#include "cli/train_flags.h"
#include "models/caption_decoder.h"

namespace gmail::cli {
namespace {

struct TrainerOptions {
  TrainFlags train;
  ArmFlags arm;
  int64_t prefix_length = 10, width = 128, layers = 3, max_tokens = 40;
  int heads = 4;
  bool raw_prefix = false;
};

void setup_trainer(Command& c, TrainerOptions& o) {
  o.train.beta2 = 0.98;
  o.train.warmup = 50;
  add_arm_flags(c, o.arm);
  c.option("prefix-length", o.prefix_length, "vectors that an image becomes");
  c.option("width", o.width, "width of the language model");
  c.option("layers", o.layers, "its blocks");
  c.option("heads", o.heads, "its attention heads");
  c.option("max-tokens", o.max_tokens, "longest caption in tokens; longer ones are cut");
  c.flag("raw-prefix", o.raw_prefix, "use embeddings as they are, not divided by their norm");
  add_train_flags(c, o.train);
}

void run_trainer(Command& c, TrainerOptions& o) {
  for (const auto& [name, value] : {std::pair("--prefix-length", o.prefix_length),
                                    {"--width", o.width},
                                    {"--layers", o.layers},
                                    {"--heads", int64_t{o.heads}},
                                    {"--max-tokens", o.max_tokens}})
    GMAIL_INPUT(value >= 1, name, ": expected at least 1, found ", value);
  GMAIL_INPUT(o.width % o.heads == 0, "--width ", o.width, ": expected a multiple of --heads ", o.heads);
  CaptionerOptions t;
  t.model.prefix_length = o.prefix_length;
  t.model.normalize_prefix = !o.raw_prefix;
  t.model.gpt.n_positions = o.prefix_length + o.max_tokens;
  t.model.gpt.n_embd = o.width;
  t.model.gpt.n_layer = o.layers;
  t.model.gpt.n_head = o.heads;
  t.batch = o.train.batch;
  t.train = train_options(c, o.train);
  ClipModel base = ClipModel::load(o.arm.model, c.ctx().device);
  const EmbeddedPairs data = load_arm_data(c, o.arm, base);
  const TrainReport report = train_captioner(c.ctx(), base.tokenizer, data, t);
  std::cout << "caption train: arm " << o.arm.arm << ", " << data.captions.size() << " pairs, "
            << report.steps << " steps, loss " << report.loss << ", " << o.train.out << '\n';
}

struct RunOptions {
  EncoderFlags encoder;
  std::string captioner, embeddings, manifest, split;
  std::vector<std::string> files;
  int beam = 1;
  int64_t max_length = 32, min_length = 0;
  bool json = false, cuda_graph = false;
};

void setup_run(Command& c, RunOptions& o) {
  c.option("captioner", o.captioner, "captioner folder")->required();
  add_encoder_flags(c, o.encoder, false);  // embeddings need no model
  c.option("embeddings", o.embeddings, "instead of images: safetensors file with image_embeds");
  c.option("manifest", o.manifest, "instead of files: the images of a manifest");
  c.option("split", o.split, "only records of this split");
  c.option("beam", o.beam, "beams, 1 = greedy");
  c.option("max-length", o.max_length, "most tokens of a caption");
  c.option("min-length", o.min_length, "fewest tokens of a caption");
  c.flag("cuda-graph", o.cuda_graph, "on a GPU: record a step of the search once, launch it as one");
  c.flag("json", o.json, "JSON lines: image, caption, tokens, logprob (and id, of a manifest)");
  c.files("files", o.files, "images, JPEG or PNG");
}

// What is captioned: a name for each row.
struct Inputs {
  std::vector<nlohmann::json> names;  // {"image": ..} and perhaps "id"
  Tensor embeddings;                  // (N, E)
};

Inputs load_inputs(const Command& c, const RunOptions& o) {
  const int ways = (o.files.empty() ? 0 : 1) + (o.embeddings.empty() ? 0 : 1) + (o.manifest.empty() ? 0 : 1);
  GMAIL_INPUT(ways == 1, "expected either image files, or --manifest, or --embeddings");
  Inputs in;
  if (!o.embeddings.empty()) {
    in.embeddings = read_embeddings(SafetensorsFile(o.embeddings), "image_embeds");
    for (int64_t i = 0; i < in.embeddings.size(0); ++i) in.names.push_back({{"image", std::to_string(i)}});
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
  EmbeddedRecords embedded = embed_records(c.ctx(), encoders, manifest);
  in.embeddings = embedded.images;
  for (const Record& r : embedded.manifest.records) in.names.push_back({{"id", r.id}, {"image", r.image}});
  return in;
}

std::string line_of(const nlohmann::json& name, const std::string& caption, const Decoded& d, bool json) {
  if (!json) return name["image"].get<std::string>() + "\t" + caption;
  nlohmann::ordered_json line = name;
  line["caption"] = caption;
  line["tokens"] = d.tokens;
  line["logprob"] = d.logprob;
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

void run_run(Command& c, RunOptions& o) {
  constexpr int64_t kBatch = 64;
  Captioner captioner = Captioner::load(o.captioner, c.ctx().device);
  const ClipCapConfig& config = captioner.model.config;
  const int64_t room = config.gpt.n_positions - config.prefix_length;
  GMAIL_INPUT(o.beam >= 1, "--beam: expected at least 1, found ", o.beam);
  GMAIL_INPUT(o.max_length >= 1 && o.max_length <= room, "--max-length: expected 1 .. ", room,
              " for this captioner, found ", o.max_length);
  GMAIL_INPUT(o.min_length >= 0 && o.min_length <= o.max_length, "--min-length: expected 0 .. ", o.max_length,
              ", found ", o.min_length);
  const Inputs in = load_inputs(c, o);
  GMAIL_INPUT(in.embeddings.size(1) == config.clip_dim, o.captioner, ": trained on embeddings of ",
              config.clip_dim, " numbers, found ", in.embeddings.size(1));
  CaptionDecoder decoder(
      c.ctx(), captioner.model,
      {.beams = o.beam, .min_length = o.min_length, .max_length = o.max_length, .cuda_graph = o.cuda_graph});
  for (int64_t begin = 0; begin < in.embeddings.size(0); begin += kBatch) {
    const int64_t end = std::min(in.embeddings.size(0), begin + kBatch);
    const auto decoded = decoder.decode(in.embeddings.rows(begin, end));
    for (size_t i = 0; i < decoded.size(); ++i)
      std::cout << line_of(in.names[static_cast<size_t>(begin) + i],
                           captioner.tokenizer.decode(decoded[i].tokens), decoded[i], o.json)
                << '\n';
  }
}

}  // namespace

void add_caption(Program& program) {
  CLI::App& group = program.group("caption", "train a captioner, or caption images with it");
  program.add<TrainerOptions>(group, "train", "stage B: ClipCap on the embeddings of an arm", setup_trainer,
                              run_trainer);
  program.add<RunOptions>(group, "run", "print a caption for each image", setup_run, run_run);
}

}  // namespace gmail::cli
