// The list of images and captions of a data set: one JSON object a line.
//   {"id": "12", "image": "images/12.jpg", "captions": ["a red cube", ..], "split": "train", "label": "cube",
//    "source": {"kind": "real"}}
// "label" is optional. The source of a generated image also names the real record and which of its captions
// was drawn:
//   {"kind": "generated", "pair": "12", "caption": 0, "generator": "..", "seed": 7, "guidance": 2.5, "steps":
//   50}
// where seed, guidance and steps are left out if nobody knows them. Paths are relative to the manifest's
// folder.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace gmail {

struct Source {
  bool generated = false;
  std::string pair;     // id of the real record; this and the rest for generated images only
  int64_t caption = 0;  // index in that record's captions
  std::string generator;
  std::optional<int64_t> seed;
  std::optional<double> guidance;
  std::optional<int64_t> steps;
  bool operator==(const Source&) const = default;
};

struct Record {
  std::string id, image;
  std::vector<std::string> captions;
  std::string split;
  std::optional<std::string> label;
  Source source;
  bool operator==(const Record&) const = default;
};

struct Manifest {
  std::filesystem::path file;
  std::vector<Record> records;

  [[nodiscard]] int64_t size() const { return static_cast<int64_t>(records.size()); }
  [[nodiscard]] const Record& operator[](int64_t i) const { return records[static_cast<size_t>(i)]; }
  [[nodiscard]] std::filesystem::path image_path(int64_t i) const {
    return file.parent_path() / (*this)[i].image;
  }
  // the records of one split, in their order
  [[nodiscard]] Manifest filter(std::string_view split) const;
};

// Strict: unknown or repeated keys, wrong types, an empty list of captions, a repeated id are InputErrors
// like
//   runs/x/manifest.jsonl:7: field "captions": expected a non-empty list of strings, found []
[[nodiscard]] Manifest read_manifest(const std::filesystem::path& file);
// All of it or nothing: the old file stays until the new one is complete.
void write_manifest(const std::filesystem::path& file, std::span<const Record> records);

// A manifest that grows line by line and survives a kill at any moment: what append() returned from stays. A
// last line that was cut short is dropped on opening; `records()` tells what is there, so the caller goes on
// behind it.
class ManifestWriter {
 public:
  explicit ManifestWriter(const std::filesystem::path& file);
  ~ManifestWriter();
  ManifestWriter(const ManifestWriter&) = delete;
  ManifestWriter& operator=(const ManifestWriter&) = delete;

  [[nodiscard]] const std::vector<Record>& records() const { return manifest_.records; }
  [[nodiscard]] bool contains(const std::string& id) const { return ids_.contains(id); }
  // Error, with the file as before, if the disk is full.
  void append(const Record& record);

 private:
  Manifest manifest_;
  std::unordered_set<std::string> ids_;
  int fd_ = -1;
  int64_t bytes_ = 0;
};

struct RecordPair {
  int64_t generated, real;  // indices of the two manifests
  bool operator==(const RecordPair&) const = default;
};

// Each generated record with the real one that it names. The two may be the same manifest, with both kinds in
// it. InputError if a record names one that is not there, not real, or has no such caption.
[[nodiscard]] std::vector<RecordPair> pairs(const Manifest& generated, const Manifest& real);

}  // namespace gmail
