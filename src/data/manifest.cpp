#include "data/manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.h"
#include "data/utf8.h"
#include "io/files.h"
#include "io/json.h"

namespace gmail {
namespace {

Source read_source(Fields fields) {
  Source s;
  const std::string kind = fields.text("kind");
  if (kind != "real" && kind != "generated") fields.wrong("kind", "\"real\" or \"generated\"");
  s.generated = kind == "generated";
  if (s.generated) {
    s.pair = fields.text("pair");
    s.caption = fields.whole("caption");
    s.generator = fields.text("generator");
    if (fields.has("seed")) s.seed = fields.whole("seed");
    if (fields.has("guidance")) s.guidance = fields.number("guidance");
    if (fields.has("steps")) s.steps = fields.whole("steps");
  }
  fields.finish();
  return s;
}

Record read_record(const Json& json, const std::string& where) {
  Fields fields(json, where);
  Record r;
  r.id = fields.text("id");
  r.image = fields.text("image");
  r.captions = fields.texts("captions");
  r.split = fields.text("split");
  if (fields.has("label")) r.label = fields.text("label");
  r.source = read_source(fields.object("source"));
  fields.finish();
  return r;
}

Record parse_record(std::string_view line, const std::string& file, int64_t number) {
  return read_record(parse_json(line, file, number), concat(file, ":", number));
}

// What is written must be readable: the reader is the judge.
std::string line_of(const Record& r, const std::filesystem::path& file) {
  Json source = {{"kind", r.source.generated ? "generated" : "real"}};
  if (r.source.generated) {
    source["pair"] = r.source.pair;
    source["caption"] = r.source.caption;
    source["generator"] = r.source.generator;
    if (r.source.seed) source["seed"] = *r.source.seed;
    if (r.source.guidance) source["guidance"] = *r.source.guidance;
    if (r.source.steps) source["steps"] = *r.source.steps;
  }
  Json json = {
      {"id", r.id}, {"image", r.image}, {"captions", r.captions}, {"split", r.split}, {"source", source}};
  if (r.label) json["label"] = *r.label;
  const std::string where = concat("[write] ", file.string(), ": record \"", replace_bad_utf8(r.id), "\"");
  GMAIL_CHECK(read_record(json, where) == r, where, ": a real record has nothing to say of a generator");
  try {
    return json.dump() + "\n";
  } catch (const Json::type_error&) {
    throw Error(where + ": not valid UTF-8");
  }
}

// The lines of `text`; a last one without its newline counts.
template <class F>
void for_each_line(std::string_view text, F&& body) {
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    body(line, number);
  }
}

Manifest parse_manifest(std::string_view text, const std::filesystem::path& file) {
  Manifest manifest{file, {}};
  const std::string name = file.string();
  std::unordered_map<std::string, int64_t> lines;
  for_each_line(text, [&](std::string_view line, int64_t number) {
    manifest.records.push_back(parse_record(line, name, number));
    const auto [first, fresh] = lines.emplace(manifest.records.back().id, number);
    GMAIL_INPUT(fresh, name, ":", number, ": field \"id\": \"", first->first, "\" is taken by line ",
                first->second);
  });
  return manifest;
}

// How much of the text stands after a kill: up to the last newline, or all of it if the last line is whole
// without one.
std::string repaired(std::string text, const std::filesystem::path& file) {
  const size_t begin = text.rfind('\n') == std::string::npos ? 0 : text.rfind('\n') + 1;
  if (begin == text.size()) return text;
  try {
    (void)parse_record(std::string_view(text).substr(begin), file.string(), 0);
    text += '\n';
  } catch (const InputError&) {
    text.resize(begin);
  }
  return text;
}

}  // namespace

Manifest Manifest::filter(std::string_view split) const {
  Manifest out{file, {}};
  std::copy_if(records.begin(), records.end(), std::back_inserter(out.records),
               [&](const Record& r) { return r.split == split; });
  return out;
}

Manifest read_manifest(const std::filesystem::path& file) {
  Manifest manifest = parse_manifest(read_text(file), file);
  GMAIL_INPUT(!manifest.records.empty(), file.string(), ": no records");
  return manifest;
}

void write_manifest(const std::filesystem::path& file, std::span<const Record> records) {
  std::string text;
  std::unordered_set<std::string_view> ids;
  for (const Record& r : records) {
    GMAIL_CHECK(ids.insert(r.id).second, "[write] ", file.string(), ": the id \"", r.id, "\" comes twice");
    text += line_of(r, file);
  }
  write_atomically(file, text);
}

ManifestWriter::ManifestWriter(const std::filesystem::path& file) : manifest_{file, {}} {
  if (std::filesystem::exists(file)) {
    const std::string before = read_text(file), after = repaired(before, file);
    manifest_ = parse_manifest(after, file);
    if (after != before) write_atomically(file, after);
    bytes_ = static_cast<int64_t>(after.size());
  }
  for (const Record& r : manifest_.records) ids_.insert(r.id);
  fd_ = ::open(file.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  GMAIL_INPUT(fd_ >= 0, "cannot write ", file.string(), ": ", std::strerror(errno));
}

ManifestWriter::~ManifestWriter() {
  if (fd_ >= 0) ::close(fd_);
}

void ManifestWriter::append(const Record& record) {
  const std::string name = manifest_.file.string(), line = line_of(record, manifest_.file);
  GMAIL_CHECK(!ids_.contains(record.id), "[append] ", name, ": the id \"", record.id, "\" is there already");
  size_t done = 0;
  while (done < line.size()) {
    const ssize_t n = ::write(fd_, line.data() + done, line.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      const std::string reason = std::strerror(n < 0 ? errno : ENOSPC);
      const bool restored = ::ftruncate(fd_, bytes_) == 0;
      throw Error(
          concat("cannot write ", name, ": ", reason, restored ? "" : " (its last line is cut short)"));
    }
    done += static_cast<size_t>(n);
  }
  bytes_ += static_cast<int64_t>(line.size());
  ids_.insert(record.id);
  manifest_.records.push_back(record);
}

std::vector<RecordPair> pairs(const Manifest& generated, const Manifest& real) {
  std::unordered_map<std::string_view, int64_t> index;
  for (int64_t i = 0; i < real.size(); ++i) index.emplace(real[i].id, i);
  std::vector<RecordPair> out;
  for (int64_t g = 0; g < generated.size(); ++g) {
    const Record& r = generated[g];
    if (!r.source.generated) continue;
    const std::string where = concat(generated.file.string(), ": record \"", r.id, "\": field \"source.");
    const auto found = index.find(r.source.pair);
    GMAIL_INPUT(found != index.end(), where, "pair\": no record \"", r.source.pair, "\" in ",
                real.file.string());
    const Record& other = real[found->second];
    GMAIL_INPUT(!other.source.generated, where, "pair\": expected a real record, found \"", other.id,
                "\", which is generated");
    GMAIL_INPUT(r.source.caption < static_cast<int64_t>(other.captions.size()), where,
                "caption\": expected less than ", other.captions.size(), ", the captions of \"", other.id,
                "\", found ", r.source.caption);
    out.push_back({g, found->second});
  }
  return out;
}

}  // namespace gmail
