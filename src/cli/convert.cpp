// gmail convert clip: a CLIP model between the forms of folder that the field has. gmail convert clipcap: a
// captioner of ClipCap's code into a folder of ours.
#include <iostream>

#include "cli/commands.h"
#include "gmail/convert_clip.h"
#include "gmail/convert_clipcap.h"
#include "train/progress.h"

namespace gmail::cli {
namespace {

struct Options {
  std::string in, out, naming = "hf", dtype = "keep", activation;
  int64_t image_size = 0;
};

void setup(Command& c, Options& o) {
  c.argument("in", o.in,
             "folder with config.json or open_clip_config.json, or a safetensors file of OpenAI's names");
  c.option("out", o.out, "folder to write")->required();
  c.option("naming", o.naming,
           "hf: config.json and Hugging Face's names; openai: config.json and OpenAI's names; open_clip: "
           "open_clip_config.json and OpenAI's names")
      ->one_of({"hf", "openai", "open_clip"});
  c.option("dtype", o.dtype, "keep (each tensor as it is stored) | float32 | float16 | bfloat16")
      ->one_of({"keep", "float32", "float16", "bfloat16"});
  c.option("activation", o.activation,
           "quick_gelu (OpenAI's weights) | gelu: where no configuration states it, for it is never guessed")
      ->one_of({"quick_gelu", "gelu", ""});
  c.option("image-size", o.image_size, "interpolate the image tower's positions for this resolution");
}

void run(Command&, Options& o) {
  GMAIL_INPUT(!o.in.empty(), "expected a model to convert: gmail convert clip IN --out DIR");
  GMAIL_INPUT(o.image_size >= 0, "--image-size: expected a size, found ", o.image_size);
  ConvertOptions options{.in = o.in, .out = o.out, .form = clip_form_of(o.naming), .store = "", .said = {}};
  if (o.dtype == "float32") options.store = "F32";
  if (o.dtype == "float16") options.store = "F16";
  if (o.dtype == "bfloat16") options.store = "BF16";
  if (!o.activation.empty()) options.said.hidden_act = activation_of(o.activation, "--activation");
  options.said.image_size = o.image_size;
  const ConvertReport report = convert_clip(options);
  std::cout << "convert clip: " << count_text(report.params) << " parameters in " << report.tensors
            << " tensors, " << name_of(report.config.vision.hidden_act) << ", images "
            << report.config.image_size << " x " << report.config.image_size << ", "
            << report.weights.string() << '\n';
}

struct CaptionerFolders {
  std::string in, out;
};

void setup_clipcap(Command& c, CaptionerFolders& o) {
  c.argument("in", o.in, "folder with config.json and model.safetensors, the original's names");
  c.option("out", o.out, "folder to write")->required();
}

void run_clipcap(Command&, CaptionerFolders& o) {
  GMAIL_INPUT(!o.in.empty(), "expected a captioner to convert: gmail convert clipcap FOLDER --out DIR");
  const ClipCapReport report = convert_clipcap(o.in, o.out);
  std::cout << "convert clipcap: " << count_text(report.params) << " parameters, "
            << count_text(report.mapper_params) << " of them in the " << name_of(report.config.mapper)
            << " mapper, prefix of " << report.config.prefix_length
            << (report.config.normalize_prefix ? ", embeddings of unit length, " : ", ")
            << (report.vocabulary ? "with" : "without") << " a vocabulary, " << o.out << '\n';
}

}  // namespace

void add_convert(Program& program) {
  CLI::App& convert = program.group("convert", "models from one form of file to another");
  program.add<Options>(convert, "clip", "CLIP between Hugging Face's, OpenAI's and open_clip's form", setup,
                       run);
  program.add<CaptionerFolders>(convert, "clipcap", "a captioner of ClipCap's code into a captioner folder",
                                setup_clipcap, run_clipcap);
}

}  // namespace gmail::cli
