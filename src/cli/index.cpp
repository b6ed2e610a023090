#include "cli/index.h"

#include <nlohmann/json.hpp>

#include "data/import_result.h"
#include "io/json.h"
#include "train/checkpoint.h"

namespace gmail::cli {
namespace {

namespace fs = std::filesystem;

constexpr const char* kFormat = "gmail.index.1";

std::string absolute(const std::string& path) {
  return path.empty() ? "" : fs::absolute(path).lexically_normal().string();
}

}  // namespace

void save_index(const fs::path& folder, const Manifest& manifest, const Embeddings& embeddings,
                Encoders& encoders, const EncoderFlags& flags) {
  make_dirs(folder);
  fs::remove(folder / "index.json");
  save_embeddings(folder / "embeddings.safetensors", embeddings);
  std::vector<Record> records = manifest.records;
  for (int64_t i = 0; i < manifest.size(); ++i)
    records[static_cast<size_t>(i)].image = relative_path(manifest.image_path(i), folder);
  write_manifest(folder / "manifest.jsonl", records);
  Json json{{"format", kFormat},
            {"model", absolute(flags.model)},
            {"encoder", flags.generated ? "f_g" : "f_r"},
            {"weights", frozen_digest(encoders.model().clip.params())},
            {"images", manifest.size()}};
  if (flags.image_size > 0) json["image_size"] = flags.image_size;
  if (!flags.adapter.empty()) json["adapter"] = absolute(flags.adapter);
  write_json(folder / "index.json", json);
}

Index load_index(const fs::path& folder) {
  const fs::path file = folder / "index.json";
  GMAIL_INPUT(fs::exists(file), file.string(),
              ": no index; gmail embed --model M --manifest F --index DIR makes one");
  const Json json = read_json(file);
  Fields fields(json, file.string());
  if (fields.text("format") != kFormat) fields.wrong("format", concat('"', kFormat, '"'));
  Index index;
  index.encoder.model = fields.text("model");
  if (fields.has("adapter")) index.encoder.adapter = fields.text("adapter");
  if (fields.has("image_size")) index.encoder.image_size = fields.whole("image_size");
  const std::string encoder = fields.text("encoder");
  if (encoder != "f_g" && encoder != "f_r") fields.wrong("encoder", "\"f_g\" or \"f_r\"");
  index.encoder.generated = encoder == "f_g";
  index.digest = fields.text("weights");
  const int64_t images = fields.whole("images");
  fields.finish();
  index.manifest = read_manifest(folder / "manifest.jsonl");
  index.images = read_embeddings(SafetensorsFile(folder / "embeddings.safetensors"), "image_embeds");
  GMAIL_INPUT(index.manifest.size() == images && index.images.size(0) == images, folder.string(),
              ": index.json has ", images, " images, manifest.jsonl ", index.manifest.size(),
              ", embeddings.safetensors ", index.images.size(0));
  return index;
}

void check_digest(const fs::path& folder, const Index& index, Encoders& encoders) {
  const std::string found = frozen_digest(encoders.model().clip.params());
  GMAIL_INPUT(found == index.digest, (folder / "index.json").string(),
              ": field \"weights\": the index was made with ", index.digest, ", ", index.encoder.model,
              " has ", found, "; make it again");
}

}  // namespace gmail::cli
