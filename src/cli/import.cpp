// gmail import flickr8k | folder | shards | classes | generated: a data set of somebody's becomes a manifest.
// Those of annotation files are in import_annotations.cpp.
#include <iostream>

#include "cli/commands.h"
#include "cli/import_annotations.h"
#include "data/import_classes.h"
#include "data/import_flickr8k.h"
#include "data/import_folder.h"
#include "data/import_generated.h"
#include "data/import_shards.h"

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

struct ShardOptions {
  std::vector<std::string> shards;
  std::string caption = "txt", split = "train", out;
};

void setup_shards(Command& c, ShardOptions& o) {
  c.files("shards", o.shards, "tar shards, or folders of them, with KEY.jpg, KEY.txt, KEY.json ..")
      ->required();
  c.option("caption", o.caption, "where the caption is: txt (or another suffix), or json:FIELD");
  c.option("split", o.split, "split of all images");
  c.option("out", o.out, "folder for manifest.jsonl; the images stay in the shards")->required();
}

void run_shards(Command&, ShardOptions& o) {
  GMAIL_INPUT(!o.split.empty(), "--split: expected a name");
  std::vector<std::string> notes;
  const Imported imported = import_shards(o.shards, CaptionSource::parse(o.caption), o.split, o.out, notes);
  for (const std::string& note : notes) std::cerr << note << '\n';
  write("shards", imported, o.out);
}

struct ClassOptions {
  std::string images, names, split = "test", out;
};

void setup_classes(Command& c, ClassOptions& o) {
  c.option("images", o.images, "folder with a folder of JPEG and PNG files for each class")->required();
  c.option("names", o.names,
           "file of lines FOLDER<tab>NAME; none: a class is named like its folder, with blanks for _");
  c.option("split", o.split, "split of all images");
  c.option("out", o.out, "folder for manifest.jsonl: labels, and captions \"a photo of a NAME.\"")
      ->required();
}

void run_classes(Command&, ClassOptions& o) {
  GMAIL_INPUT(!o.split.empty(), "--split: expected a name");
  write("classes", import_classes(o.images, o.names, o.split, o.out), o.out);
}

struct GeneratedOptions {
  std::vector<std::string> images;
  std::string real, generator, key = "id", caption = "txt", out;
  int64_t generator_seed = -1, steps = -1;
  double guidance = -1;
};

void setup_generated(Command& c, GeneratedOptions& o) {
  c.option("images", o.images, "folder of JPEG and PNG files, or tar shards, or folders of those")
      ->required();
  c.option(
      "key", o.key,
      "how an image is paired: id = by its name, ID_CAPTION or ID_CAPTION_K (the record's id, the index of "
      "its caption) or ID alone; caption = by the caption in NAME.txt or NAME.json beside it; index = by its "
      "name, a number that counts the captions of the real manifest from 0");
  c.option("caption", o.caption, "for --key caption, where it is: txt, or json:FIELD");
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
  const GeneratedImages images{o.images, pair_by(o.key), CaptionSource::parse(o.caption)};
  const ImportedPairs got = import_generated(images, read_manifest(o.real), by, o.out);
  for (const std::string& note : got.notes) std::cerr << note << '\n';
  std::cout << "pairs: " << got.pairing() << '\n';
  write("generated", got.imported, o.out);
}

}  // namespace

void add_import(Program& program) {
  CLI::App& group = program.group("import", "make a manifest of a data set");
  program.add<Flickr8kOptions>(group, "flickr8k", "Flickr8k: token file and split lists", setup_flickr8k,
                               run_flickr8k);
  program.add<FolderOptions>(group, "folder", "a folder of images and a file of captions", setup_folder,
                             run_folder);
  program.add<ShardOptions>(group, "shards", "webdataset or img2dataset tar shards, read in place",
                            setup_shards, run_shards);
  program.add<ClassOptions>(group, "classes", "images in a folder for each class", setup_classes,
                            run_classes);
  program.add<GeneratedOptions>(group, "generated", "images that another program drew from captions",
                                setup_generated, run_generated);
  add_import_annotations(program, group);
}

}  // namespace gmail::cli
