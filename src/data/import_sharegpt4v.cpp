#include "data/import_sharegpt4v.h"

#include "core/check.h"
#include "data/image_folder.h"
#include "io/json_stream.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

struct Entry {
  std::string id, image, caption;
};

// What "gpt" says first.
std::string read_caption(JsonStream& in) {
  std::string caption;
  bool found = false;
  for (in.begin_array(); in.next_element();) {
    std::string from, value;
    for (in.begin_object(); in.next_key();) {
      if (in.key() == "from") from = in.text();
      if (in.key() == "value") value = trimmed(in.text());
    }
    if (from.empty()) in.missing("from", "\"human\" or \"gpt\"");
    if (from != "gpt" || found) continue;
    caption = std::move(value);
    found = true;
  }
  return caption;
}

Entry read_entry(JsonStream& in) {
  Entry entry;
  bool has_conversations = false;
  for (in.begin_object(); in.next_key();) {
    const std::string& key = in.key();
    if (key == "id") {
      entry.id = in.peek() == JsonStream::Kind::number ? std::to_string(in.whole()) : trimmed(in.text());
    } else if (key == "image") {
      entry.image = in.text();
      if (!stays_inside(entry.image)) in.wrong("the path of an image");
    } else if (key == "conversations") {
      entry.caption = read_caption(in);
      has_conversations = true;
    }
  }
  if (entry.id.empty()) in.missing("id", "a string");
  if (!has_conversations) in.missing("conversations", "a list");
  return entry;
}

}  // namespace

Skips import_sharegpt4v(const ShareGpt4vFiles& files, const fs::path& folder, const AddRecord& add) {
  ImageFolder images(files.images, folder);
  Skips skips;
  JsonStream in(files.json);
  int64_t count = 0;
  for (in.begin_array(); (files.first < 0 || count < files.first) && in.next_element(); ++count) {
    Entry entry = read_entry(in);
    if (entry.image.empty()) {
      skips.skip("entries without an image", entry.id);
    } else if (!images.contains(entry.image)) {
      skips.skip("images that are not there", entry.image);
    } else if (entry.caption.empty()) {
      skips.skip("entries without a caption", entry.id);
    } else if (!add({entry.id,
                     images.in_manifest(entry.image),
                     {std::move(entry.caption)},
                     count < files.test ? "test" : "train",
                     {},
                     {}})) {
      skips.skip("entries whose id came before", entry.id);
    }
  }
  if (files.first < 0 || count < files.first) in.finish();
  return skips;
}

}  // namespace gmail
