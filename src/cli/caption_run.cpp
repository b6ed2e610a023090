// gmail caption run: captions for images.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/caption.h"
#include "cli/embeddings_file.h"
#include "cli/encoders.h"
#include "gmail/downstream.h"
#include "models/caption_decoder.h"

namespace gmail::cli {
namespace {

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
                           captioner.tokenizer ? captioner.tokenizer->decode(decoded[i].tokens) : "",
                           decoded[i], o.json)
                << '\n';
  }
}

}  // namespace

void add_caption_run(Program& program, CLI::App& group) {
  program.add<RunOptions>(group, "run", "print a caption for each image", setup_run, run_run);
}

}  // namespace gmail::cli
