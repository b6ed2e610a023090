#include "data/coco_captions.h"

#include <optional>
#include <unordered_map>

#include "core/check.h"
#include "io/json_stream.h"

namespace gmail {
namespace {

constexpr std::string_view kId = "a whole number, zero or more, or a string";

std::string read_id(JsonStream& in) {
  if (in.peek() == JsonStream::Kind::number) return std::to_string(in.whole());
  if (in.peek() != JsonStream::Kind::string) in.wrong(kId);
  const std::string& text = in.text();
  if (text.empty()) in.wrong(kId);
  return text;
}

struct Entry {
  std::string file;
  std::vector<std::string> references;
  std::optional<std::string> result;
};

// The images of the annotations, in the order in which they are first named.
struct Annotations {
  std::vector<std::string> ids;
  std::unordered_map<std::string, Entry> entries;

  Entry& at(const std::string& id) {
    const auto [it, fresh] = entries.try_emplace(id);
    if (fresh) ids.push_back(id);
    return it->second;
  }
};

void read_image(JsonStream& in, Annotations& out) {
  std::string id, file;
  for (in.begin_object(); in.next_key();) {
    if (in.key() == "id") id = read_id(in);
    if (in.key() == "file_name") file = in.text();
  }
  if (id.empty()) in.missing("id", kId);
  out.at(id).file = file;
}

struct Caption {
  std::string image, text;
};

Caption read_caption(JsonStream& in) {
  Caption c;
  bool has_text = false;
  for (in.begin_object(); in.next_key();) {
    if (in.key() == "image_id") c.image = read_id(in);
    if (in.key() == "caption") {
      c.text = in.text();
      has_text = true;
    }
  }
  if (c.image.empty()) in.missing("image_id", kId);
  if (!has_text) in.missing("caption", "a string");
  return c;
}

Annotations read_annotations(const std::filesystem::path& file) {
  Annotations out;
  JsonStream in(file);
  bool annotations = false;
  for (in.begin_object(); in.next_key();) {
    if (in.key() == "images")
      for (in.begin_array(); in.next_element();) read_image(in, out);
    if (in.key() == "annotations") {
      annotations = true;
      for (in.begin_array(); in.next_element();) {
        Caption c = read_caption(in);
        out.at(c.image).references.push_back(std::move(c.text));
      }
    }
  }
  if (!annotations) in.missing("annotations", "a list");
  in.finish();
  return out;
}

void add_result(Caption&& c, Annotations& known, CaptionSet& set) {
  ++set.results;
  const auto found = known.entries.find(c.image);
  if (found == known.entries.end()) return set.unknown.note(c.image);
  if (found->second.result) return set.duplicates.note(c.image);
  found->second.result = std::move(c.text);
}

CaptionSet join(Annotations known, const std::filesystem::path& references,
                const std::filesystem::path& results) {
  CaptionSet set;
  JsonStream in(results);
  for (in.begin_array(); in.next_element();) add_result(read_caption(in), known, set);
  in.finish();
  for (const std::string& id : known.ids) {
    Entry& e = known.entries.at(id);
    if (e.result && !e.references.empty())
      set.images.push_back({id, std::move(e.file), std::move(*e.result), std::move(e.references)});
    else if (e.result)
      set.unreferenced.note(id);
    else if (!e.references.empty())
      set.missing.note(id);
  }
  GMAIL_INPUT(!set.images.empty(), results.string(), ": none of its ", set.results,
              " results is for an image with references in ", references.string());
  return set;
}

}  // namespace

void Noted::note(const std::string& name) {
  constexpr size_t kNamed = 3;
  ++count;
  if (first.size() < kNamed) first.push_back(name);
}

std::string Noted::text() const {
  std::string names;
  for (const std::string& name : first) names += (names.empty() ? "" : ", ") + name;
  return concat(count, " (", names, count > std::ssize(first) ? ", ..)" : ")");
}

CaptionSet read_coco_captions(const std::filesystem::path& annotations,
                              const std::filesystem::path& results) {
  return join(read_annotations(annotations), annotations, results);
}

CaptionSet read_coco_results(const Manifest& manifest, const std::filesystem::path& results) {
  Annotations known;
  for (int64_t i = 0; i < manifest.size(); ++i) {
    Entry& e = known.at(manifest[i].id);
    e.file = manifest.image_path(i).string();
    e.references = manifest[i].captions;
  }
  return join(std::move(known), manifest.file, results);
}

}  // namespace gmail
