#include "data/import_coco.h"

#include <algorithm>
#include <charconv>
#include <unordered_map>
#include <unordered_set>

#include "core/check.h"
#include "data/image_folder.h"
#include "io/json_stream.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

// A number, or the digits of one between quotes.
int64_t read_id(JsonStream& in) {
  if (in.peek() != JsonStream::Kind::string) return in.whole();
  const std::string& text = in.text();
  int64_t value = -1;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end || value < 0) in.wrong("a whole number, zero or more");
  return value;
}

// "http://images.cocodataset.org/train2017/000000391895.jpg" or "COCO_train2014_000000000009.jpg" ->
// train20..
std::string folder_of(const std::string& name, const std::string& url) {
  const fs::path parent = fs::path(url).parent_path().filename();
  if (!parent.empty()) return parent.string();
  const size_t end = name.rfind('_');
  return name.starts_with("COCO_") && end > 5 ? name.substr(5, end - 5) : "";
}

class Coco {
 public:
  Coco(const CocoFiles& files, const fs::path& folder) : files_(files), images_(files.images, folder) {}

  void read(const fs::path& file) {
    JsonStream in(file);
    if (in.peek() == JsonStream::Kind::array) {
      for (in.begin_array(); in.next_element();) read_annotation(in, true);
    } else {
      bool images = false, annotations = false;
      for (in.begin_object(); in.next_key();) {
        if (in.key() == "images") {
          images = true;
          for (in.begin_array(); in.next_element();) read_image(in);
        } else if (in.key() == "annotations") {
          annotations = true;
          for (in.begin_array(); in.next_element();) read_annotation(in, false);
        }
      }
      if (!images) in.missing("images", "a list");
      if (!annotations) in.missing("annotations", "a list");
    }
    in.finish();
  }

  Skips write(const AddRecord& add) {
    Record r;
    r.split = files_.split;
    for (const int64_t id : listed_) {
      Entry& entry = entries_[id];
      if (entry.found.empty()) continue;  // counted when it was listed
      if (entry.captions.empty()) {
        skips_.skip("images without captions", entry.name);
        continue;
      }
      r.id = std::to_string(id);
      r.image = images_.in_manifest(entry.found);
      r.captions = std::move(entry.captions);
      GMAIL_CHECK(add(r), "[coco] image ", id, " comes twice");
    }
    for (const int64_t id : without_image_)
      if (entries_[id].name.empty()) skips_.skip("captions of no image", concat("image ", id));
    return std::move(skips_);
  }

 private:
  struct Entry {
    std::string name, found;  // as the file has it, "" until it is listed; where it is, "" if nowhere
    std::vector<std::string> captions;
  };

  void list(int64_t id, Entry& entry, const std::vector<std::string>& names) {
    entry.name = names.front();
    entry.found = images_.first_of(names);
    listed_.push_back(id);
    if (entry.found.empty()) skips_.skip("images that are not there", entry.name);
  }

  void read_image(JsonStream& in) {
    int64_t id = -1;
    std::string name, url;
    for (in.begin_object(); in.next_key();) {
      if (in.key() == "id") id = read_id(in);
      if (in.key() == "file_name") {
        name = in.text();
        if (!stays_inside(name)) in.wrong("the name of an image");
      }
      if (in.key() == "coco_url" && in.peek() == JsonStream::Kind::string) url = in.text();
    }
    if (id < 0) in.missing("id", "a whole number, zero or more");
    if (name.empty()) in.missing("file_name", "the name of an image");
    Entry& entry = entries_[id];
    if (!entry.name.empty()) {
      GMAIL_INPUT(entry.name == name, in.where(), ": image ", id, " is \"", name, "\", and was \"",
                  entry.name, "\" before");
      skips_.skip("images whose id came before", concat("image ", id));
      return;
    }
    list(id, entry, {name, concat(folder_of(name, url), "/", name)});
  }

  void read_annotation(JsonStream& in, bool flat) {
    int64_t id = -1, image = -1;
    std::string caption;
    bool has_caption = false;
    for (in.begin_object(); in.next_key();) {
      if (in.key() == "id") id = read_id(in);
      if (in.key() == "image_id") image = read_id(in);
      if (in.key() == "caption") {
        caption = trimmed(in.text());
        has_caption = true;
      }
    }
    if (image < 0) in.missing("image_id", "a whole number, zero or more");
    if (!has_caption) in.missing("caption", "a string");
    if (id >= 0 && !annotation_ids_.insert(id).second)
      return skips_.skip("annotations whose id came before", concat("annotation ", id));
    if (caption.empty()) return skips_.skip("empty captions", concat("of image ", image));
    Entry& entry = entries_[image];
    if (entry.name.empty() && flat) list(image, entry, usual_names(image));
    if (entry.name.empty()) without_image_.push_back(image);
    entry.captions.push_back(std::move(caption));
  }

  static std::vector<std::string> usual_names(int64_t image) {
    std::string digits = std::to_string(image);
    digits.insert(0, digits.size() < 12 ? 12 - digits.size() : 0, '0');
    std::vector<std::string> names = {digits + ".jpg"};
    for (const char* set : {"train2017", "val2017"}) names.push_back(concat(set, "/", digits, ".jpg"));
    for (const char* set : {"train2014", "val2014"}) {
      const std::string name = concat("COCO_", set, "_", digits, ".jpg");
      names.push_back(name);
      names.push_back(concat(set, "/", name));
    }
    return names;
  }

  const CocoFiles& files_;
  ImageFolder images_;
  Skips skips_;
  std::unordered_map<int64_t, Entry> entries_;
  std::vector<int64_t> listed_;         // images in their order
  std::vector<int64_t> without_image_;  // when the caption came: the images may stand behind the annotations
  std::unordered_set<int64_t> annotation_ids_;
};

}  // namespace

Skips import_coco(const CocoFiles& files, const fs::path& folder, const AddRecord& add) {
  Coco coco(files, folder);
  for (const fs::path& file : files.annotations) coco.read(file);
  return coco.write(add);
}

}  // namespace gmail
