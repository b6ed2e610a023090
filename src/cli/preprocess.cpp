// gmail preprocess: one image as a tower will see it, before the normalisation.
#include <iostream>
#include <nlohmann/json.hpp>

#include "cli/commands.h"
#include "data/preprocess.h"
#include "io/files.h"
#include "io/json.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string in, out, preprocessor, crop = "hf", pillow = "13";
  int64_t size = 0;
};

void setup(Command& c, Options& o) {
  c.argument("image", o.in, "JPEG or PNG")->required();
  c.option("size", o.size,
           "short side and crop, in pixels: bicubic, as CLIP's image processor does by itself");
  c.option("preprocessor", o.preprocessor, "instead: preprocessor_config.json, or the folder it is in");
  c.option("crop", o.crop, "where an odd pixel is left off: hf (transformers) or openai (torchvision)")
      ->one_of({"hf", "openai"});
  c.option("pillow", o.pillow, "Pillow to equal: 13, or 12 and all before it (eq. (3) of src/data/resize.h)")
      ->one_of({"12", "13"});
  c.option("out", o.out, "PNG to write")->required();
}

Preprocess preprocess_of(const Options& o) {
  GMAIL_INPUT((o.size != 0) != !o.preprocessor.empty(), "expected either --size or --preprocessor");
  Preprocess p;
  if (o.preprocessor.empty()) {
    GMAIL_INPUT(o.size >= 1 && o.size <= kMaxSide, "--size: expected 1 to ", kMaxSide, " pixels, found ",
                o.size);
    p = Preprocess::square(o.size);
  } else {
    std::filesystem::path file = o.preprocessor;
    if (std::filesystem::is_directory(file)) file /= "preprocessor_config.json";
    p = Preprocess::from_json(read_json(file), file.string());
  }
  p.crop_rule = o.crop == "openai" ? CropRule::openai : CropRule::hf;
  p.resample.passes = o.pillow == "12" ? Passes::rows_first : Passes::as_pillow_13;
  return p;
}

void run(Command&, Options& o) {
  const Preprocess preprocess = preprocess_of(o);
  make_parent_dirs(o.out);
  const Image in = read_image(o.in), out = preprocess(in);
  write_png(o.out, out);
  std::cout << "preprocess: " << in.width << " x " << in.height << " to " << out.width << " x " << out.height
            << ", " << o.out << '\n';
}

}  // namespace

void add_preprocess(Program& program) {
  program.add<Options>(program.app, "preprocess", "write one image as a CLIP tower sees it", setup, run);
}

}  // namespace gmail::cli
