// gmail import flickr8k | folder | generated: a data set of somebody's becomes a manifest. Those of
// annotation files are in import_annotations.cpp.
#include <iostream>

#include "cli/commands.h"
#include "cli/import_annotations.h"
#include "data/import_flickr8k.h"
#include "data/import_folder.h"
#include "data/import_generated.h"

namespace gmail::cli {
namespace {

// The manifest stands in `out`; the images stay where they are.
void write(const std::string& what, const Imported& imported, const std::string& out) {
  const std::filesystem::path file = std::filesystem::path(out) / "manifest.jsonl";
  imported.write(file);
  std::cout << "import " << what << ": " << imported.report() << ", " << file.string() << '\n';
}

struct Flickr8kOptions {
  std::string root, tokens, images, train, dev, test, out;
};

void setup_flickr8k(Command& c, Flickr8kOptions& o) {
  c.option("root", o.root,
           "folder with Flickr8k.token.txt, images/ and the three lists (perhaps in splits/)");
  c.option("tokens", o.tokens, "the captions, if elsewhere");
  c.option("images", o.images, "the folder of the images, if elsewhere");
  c.option("train", o.train, "the list of training images, if elsewhere");
  c.option("dev", o.dev, "the list of validation images, if elsewhere");
  c.option("test", o.test, "the list of test images, if elsewhere");
  c.option("out", o.out, "folder for manifest.jsonl")->required();
}

void run_flickr8k(Command&, Flickr8kOptions& o) {
  GMAIL_INPUT(!o.root.empty() || (!o.tokens.empty() && !o.images.empty() && !o.train.empty() &&
                                  !o.dev.empty() && !o.test.empty()),
              "--root is required, or all of --tokens, --images, --train, --dev, --test");
  Flickr8kFiles files = Flickr8kFiles::in(o.root);
  if (!o.tokens.empty()) files.tokens = o.tokens;
  if (!o.images.empty()) files.images = o.images;
  if (!o.train.empty()) files.train = o.train;
  if (!o.dev.empty()) files.dev = o.dev;
  if (!o.test.empty()) files.test = o.test;
  write("flickr8k", import_flickr8k(files, o.out), o.out);
}

struct FolderOptions {
  std::string images, captions, split = "train", out;
};

void setup_folder(Command& c, FolderOptions& o) {
  c.option("images", o.images, "folder of JPEG and PNG files")->required();
  c.option("captions", o.captions, "file of lines NAME<tab>CAPTION, as many as you like for an image")
      ->required();
  c.option("split", o.split, "split of all images");
  c.option("out", o.out, "folder for manifest.jsonl")->required();
}

void run_folder(Command&, FolderOptions& o) {
  GMAIL_INPUT(!o.split.empty(), "--split: expected a name");
  write("folder", import_folder(o.images, o.captions, o.split, o.out), o.out);
}

struct GeneratedOptions {
  std::string images, real, generator, out;
  int64_t generator_seed = -1, steps = -1;
  double guidance = -1;
};

void setup_generated(Command& c, GeneratedOptions& o) {
  c.option("images", o.images,
           "folder of files ID_CAPTION.png or ID_CAPTION_K.png: record's id, index of its caption")
      ->required();
  c.option("real", o.real, "manifest of the real records whose captions were drawn")->required();
  c.option("generator", o.generator, "what drew them, for the record")->required();
  c.option("generator-seed", o.generator_seed, "the seed that it was given, -1 = not known");
  c.option("guidance", o.guidance, "the guidance that it was given, -1 = not known");
  c.option("steps", o.steps, "the steps that it took, -1 = not known");
  c.option("out", o.out, "folder for manifest.jsonl")->required();
}

void run_generated(Command&, GeneratedOptions& o) {
  GMAIL_INPUT(!o.generator.empty(), "--generator: expected a name");
  GeneratedBy by{o.generator, {}, {}, {}};
  if (o.generator_seed >= 0) by.seed = o.generator_seed;
  if (o.guidance >= 0) by.guidance = o.guidance;
  if (o.steps >= 0) by.steps = o.steps;
  write("generated", import_generated(o.images, read_manifest(o.real), by, o.out), o.out);
}

}  // namespace

void add_import(Program& program) {
  CLI::App& group = program.group("import", "make a manifest of a data set");
  program.add<Flickr8kOptions>(group, "flickr8k", "Flickr8k: token file and split lists", setup_flickr8k,
                               run_flickr8k);
  program.add<FolderOptions>(group, "folder", "a folder of images and a file of captions", setup_folder,
                             run_folder);
  program.add<GeneratedOptions>(group, "generated", "images that another program drew from captions",
                                setup_generated, run_generated);
  add_import_annotations(program, group);
}

}  // namespace gmail::cli
