#include "data/import_karpathy.h"

#include "core/check.h"
#include "data/image_folder.h"
#include "io/json_stream.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kSplits = "\"train\", \"val\", \"test\" or \"restval\"";

std::string read_path(JsonStream& in) {
  const std::string& text = in.text();
  if (!stays_inside(text)) in.wrong("the name of an image");
  return text;
}

std::string read_split(JsonStream& in) {
  const std::string& text = in.text();
  if (text != "train" && text != "val" && text != "test" && text != "restval") in.wrong(kSplits);
  return text;
}

std::vector<std::string> read_sentences(JsonStream& in) {
  std::vector<std::string> out;
  for (in.begin_array(); in.next_element();) {
    bool has_raw = false;
    for (in.begin_object(); in.next_key();) {
      if (in.key() != "raw") continue;
      out.emplace_back(trimmed(in.text()));
      has_raw = true;
    }
    if (!has_raw) in.missing("raw", "a string");
  }
  return out;
}

KarpathyImage read_image(JsonStream& in) {
  KarpathyImage image;
  bool has_sentences = false;
  for (in.begin_object(); in.next_key();) {
    const std::string& key = in.key();
    if (key == "filename") {
      image.filename = read_path(in);
    } else if (key == "filepath") {
      image.filepath = read_path(in);
    } else if (key == "cocoid") {
      image.id = std::to_string(in.whole());
    } else if (key == "split") {
      image.split = read_split(in);
    } else if (key == "sentences") {
      image.captions = read_sentences(in);
      has_sentences = true;
    }
  }
  if (image.filename.empty()) in.missing("filename", "the name of an image");
  if (image.split.empty()) in.missing("split", kSplits);
  if (!has_sentences) in.missing("sentences", "a list");
  if (image.id.empty()) image.id = fs::path(image.filename).stem().string();
  return image;
}

}  // namespace

void for_each_karpathy(const fs::path& json, const std::function<void(KarpathyImage& image)>& body) {
  JsonStream in(json);
  bool images = false;
  for (in.begin_object(); in.next_key();) {
    if (in.key() != "images") continue;
    images = true;
    for (in.begin_array(); in.next_element();) {
      KarpathyImage image = read_image(in);
      body(image);
    }
  }
  if (!images) in.missing("images", "a list");
  in.finish();
}

Skips import_karpathy(const KarpathyFiles& files, const fs::path& folder, const AddRecord& add) {
  ImageFolder images(files.images, folder);
  Skips skips;
  for_each_karpathy(files.json, [&](KarpathyImage& image) {
    if (image.split == "restval") {
      if (files.restval == Restval::drop) return skips.skip("images of restval", image.filename);
      if (files.restval == Restval::train) image.split = "train";
    }
    const auto empty = std::erase(image.captions, "");
    for (size_t i = 0; i < empty; ++i) skips.skip("empty captions", "of " + image.filename);
    if (image.captions.empty()) return skips.skip("images without captions", image.filename);
    std::vector<std::string> names = {image.filename};
    if (!image.filepath.empty()) names.insert(names.begin(), image.filepath + "/" + image.filename);
    const std::string found = images.first_of(names);
    if (found.empty()) return skips.skip("images that are not there", names.front());
    if (!add({image.id, images.in_manifest(found), std::move(image.captions), image.split, {}, {}}))
      skips.skip("images whose id came before", image.filename);
  });
  return skips;
}

}  // namespace gmail
