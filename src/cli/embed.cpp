// gmail embed: embeddings of images and texts, after the projection and before normalisation.
#include <iostream>

#include "cli/commands.h"
#include "cli/embeddings_file.h"
#include "cli/encoders.h"
#include "cli/index.h"
#include "io/files.h"
#include "io/lines.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string model, adapter, texts, manifest, split, out, index;
  std::vector<std::string> images;
  bool real = false;
  int64_t image_size = 0;
};

void setup(Command& c, Options& o) {
  c.option("model", o.model, "CLIP folder")->required();
  c.option("adapter", o.adapter, "PEFT folder, aligned or not: images go through its f_g, unless --real");
  c.flag("real", o.real, "with --adapter: the images are real ones, and go through its reading of f_r");
  c.option("images", o.images, "images, JPEG or PNG: image_embeds (N, E) in this order");
  c.option("texts", o.texts, "file of lines {\"text\": \"..\"}: text_embeds (M, E) in this order");
  c.option("manifest", o.manifest, "instead: images and captions of a manifest, and text_image (M)");
  c.option("split", o.split, "only records of this split");
  add_image_size(c, o.image_size);
  c.option("out", o.out, "safetensors file to write");
  c.option("index", o.index, "folder to write an index for gmail retrieve to; needs --manifest");
}

std::vector<std::string> read_texts(const std::string& file) {
  std::vector<std::string> texts;
  for_each_line(read_text(file), [&](std::string_view line, int64_t number) {
    texts.push_back(parse_text_line(line, file, number));
  });
  GMAIL_INPUT(!texts.empty(), file, ": no line {\"text\": \"..\"}");
  return texts;
}

void check(const Options& o) {
  GMAIL_INPUT(!o.out.empty() || !o.index.empty(), "--out is required, or --index (gmail embed --help)");
  const bool files = !o.images.empty() || !o.texts.empty();
  GMAIL_INPUT(files != !o.manifest.empty(), "expected either --images, --texts or both, or --manifest");
  GMAIL_INPUT(o.index.empty() || !o.manifest.empty(), "--index needs --manifest");
  GMAIL_INPUT(!o.real || !o.adapter.empty(), "--real needs --adapter: without one all images go through f_r");
}

void run(Command& c, Options& o) {
  check(o);
  Embeddings e;
  EmbeddedRecords records;
  std::vector<std::string> texts;
  if (!o.manifest.empty()) records.manifest = read_split(o.manifest, o.split);
  if (!o.texts.empty()) texts = read_texts(o.texts);
  make_parent_dirs(o.out);
  const EncoderFlags flags{o.model, o.adapter, !o.adapter.empty() && !o.real, o.image_size};
  Encoders encoders(c.ctx(), flags);
  if (!o.images.empty()) e.images = embed_files(c.ctx(), encoders, o.images);
  if (!o.manifest.empty()) {
    records = embed_records(c.ctx(), encoders, records.manifest);
    RecordTexts captions = texts_of(records.manifest);
    e.images = records.images;
    e.text_image = captions.image;
    texts = std::move(captions.texts);
  }
  if (!texts.empty()) e.texts = embed_texts(c.ctx(), encoders.model(), texts);
  if (!o.out.empty()) save_embeddings(o.out, e);
  if (!o.index.empty()) save_index(o.index, records.manifest, e, encoders, flags);
  std::cout << "embed: " << (e.images ? e.images.size(0) : 0) << " images, " << texts.size() << " texts, "
            << (e.images ? e.images : e.texts).size(1) << " numbers each, "
            << (o.out.empty() ? o.index : o.out) << '\n';
}

}  // namespace

void add_embed(Program& program) {
  program.add<Options>(program.app, "embed", "write embeddings of images and texts, or an index for retrieve",
                       setup, run);
}

}  // namespace gmail::cli
