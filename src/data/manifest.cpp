#include "data/manifest.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <mutex>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "core/check.h"
#include "core/parallel_for.h"
#include "data/manifest_stream.h"
#include "data/name_set.h"
#include "io/files.h"
#include "io/json.h"
#include "io/json_stream.h"
#include "io/utf8.h"

namespace gmail {
namespace {

using Kind = JsonStream::Kind;

constexpr std::string_view kText = "a non-empty string", kTexts = "a non-empty list of strings";

bool is_blank(std::string_view s) { return s.find_first_not_of(" \t\r\n") == std::string_view::npos; }

std::string read_string(JsonStream& in) {
  if (in.peek() != Kind::string) in.wrong(kText);
  const std::string& text = in.text();
  if (is_blank(text)) in.wrong(kText);
  return text;
}

std::vector<std::string> read_strings(JsonStream& in) {
  std::vector<std::string> out;
  in.mark();
  if (in.peek() != Kind::array) in.wrong(kTexts);
  for (in.begin_array(); in.next_element();) {
    if (in.peek() != Kind::string) in.wrong(kTexts);
    out.push_back(in.text());
    if (is_blank(out.back())) in.wrong(kTexts);
  }
  if (out.empty()) in.wrong(kTexts);
  in.release();
  return out;
}

Source read_source(JsonStream& in) {
  Source s;
  std::string kind, other;  // a field that only generated images have
  bool has_caption = false;
  for (in.begin_object(); in.next_key();) {
    const std::string& key = in.key();
    if (key == "kind") {
      kind = read_string(in);
      if (kind != "real" && kind != "generated") in.wrong("\"real\" or \"generated\"");
      continue;
    }
    other = key;
    if (key == "pair") {
      s.pair = read_string(in);
    } else if (key == "caption") {
      s.caption = in.whole();
      has_caption = true;
    } else if (key == "generator") {
      s.generator = read_string(in);
    } else if (key == "seed") {
      s.seed = in.whole();
    } else if (key == "guidance") {
      s.guidance = in.number();
    } else if (key == "steps") {
      s.steps = in.whole();
    } else {
      in.unknown("kind, pair, caption, generator, seed, guidance, steps");
    }
  }
  if (kind.empty()) in.missing("kind", "\"real\" or \"generated\"");
  s.generated = kind == "generated";
  GMAIL_INPUT(s.generated || other.empty(), in.where(), ": field \"source.", other,
              "\": unknown; known are kind");
  if (s.generated && s.pair.empty()) in.missing("pair", kText);
  if (s.generated && !has_caption) in.missing("caption", "a whole number, zero or more");
  if (s.generated && s.generator.empty()) in.missing("generator", kText);
  return s;
}

Record read_record(JsonStream& in) {
  Record r;
  bool has_source = false;
  for (in.begin_object(); in.next_key();) {
    const std::string& key = in.key();
    if (key == "id") {
      r.id = read_string(in);
    } else if (key == "image") {
      r.image = read_string(in);
    } else if (key == "captions") {
      r.captions = read_strings(in);
    } else if (key == "split") {
      r.split = read_string(in);
    } else if (key == "label") {
      r.label = read_string(in);
    } else if (key == "source") {
      r.source = read_source(in);
      has_source = true;
    } else {
      in.unknown("id, image, captions, split, label, source");
    }
  }
  in.finish();
  if (r.id.empty()) in.missing("id", kText);
  if (r.image.empty()) in.missing("image", kText);
  if (r.captions.empty()) in.missing("captions", kTexts);
  if (r.split.empty()) in.missing("split", kText);
  if (!has_source) in.missing("source", "an object");
  return r;
}

Record parse_record(std::string_view line, const std::string& file, int64_t number) {
  JsonStream in(line, file, number);
  return read_record(in);
}

void append_field(std::string& out, std::string_view name, std::string_view value) {
  append_json(out.append(name), value);
}

void append_source(std::string& out, const Source& s) {
  out += ",\"source\":{";
  if (s.generated) {
    out.append("\"caption\":").append(std::to_string(s.caption));
    append_field(out, ",\"generator\":", s.generator);
    if (s.guidance) out.append(",\"guidance\":").append(Json(*s.guidance).dump());
    append_field(out, ",\"kind\":\"generated\",\"pair\":", s.pair);
    if (s.seed) out.append(",\"seed\":").append(std::to_string(*s.seed));
    if (s.steps) out.append(",\"steps\":").append(std::to_string(*s.steps));
  } else {
    out += "\"kind\":\"real\"";
  }
  out += '}';
}

// What is written must be readable: the reader is the judge.
void append_line(std::string& out, const Record& r, const std::filesystem::path& file) {
  const size_t begin = out.size();
  out += "{\"captions\":[";
  for (const std::string& caption : r.captions)
    append_field(out, &caption == r.captions.data() ? "" : ",", caption);
  append_field(out, "],\"id\":", r.id);
  append_field(out, ",\"image\":", r.image);
  if (r.label) append_field(out, ",\"label\":", *r.label);
  append_source(out, r.source);
  append_field(out, ",\"split\":", r.split);
  out += '}';
  const auto line = std::string_view(out).substr(begin);
  const auto where = [&] {
    return concat("[write] ", file.string(), ": record \"", replace_bad_utf8(r.id), "\"");
  };
  GMAIL_CHECK(find_bad_utf8(line) == std::string_view::npos, where(), ": not valid UTF-8");
  try {
    GMAIL_CHECK(parse_record(line, "", 0) == r, ": a real record has nothing to say of a generator");
  } catch (const Error& e) {
    const std::string_view what = e.what();
    throw Error(where() + std::string(what.substr(what.starts_with(":0") ? 2 : 0)));
  }
  out += '\n';
}

std::string line_of(const Record& r, const std::filesystem::path& file) {
  std::string line;
  append_line(line, r, file);
  return line;
}

// The lines of `text`; a last one without its newline counts.
std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    lines.push_back(text.substr(0, text.find('\n')));
    text.remove_prefix(std::min(text.size(), lines.back().size() + 1));
  }
  return lines;
}

// Several threads read lines; the error is that of the first bad line all the same.
Manifest parse_manifest(std::string_view text, const std::filesystem::path& file) {
  constexpr int64_t kGrain = 256;
  const std::vector<std::string_view> lines = lines_of(text);
  const auto count = static_cast<int64_t>(lines.size());
  const std::string name = file.string();
  Manifest manifest{file, std::vector<Record>(lines.size())};
  std::mutex lock;
  int64_t bad = count;
  std::exception_ptr error;
  parallel_for(count, kGrain, [&](int64_t begin, int64_t end) {
    int64_t i = begin;
    try {
      for (; i < end; ++i) {
        const auto at = static_cast<size_t>(i);
        manifest.records[at] = parse_record(lines[at], name, i + 1);
      }
    } catch (const Error&) {
      const std::lock_guard guard(lock);
      if (i < bad) {
        bad = i;
        error = std::current_exception();
      }
    }
  });
  std::unordered_map<std::string_view, int64_t> seen;
  seen.reserve(lines.size());
  for (int64_t i = 0; i < bad; ++i) {
    const auto [first, fresh] = seen.emplace(manifest[i].id, i + 1);
    GMAIL_INPUT(fresh, name, ":", i + 1, ": field \"id\": \"", first->first, "\" is taken by line ",
                first->second);
  }
  if (error) std::rethrow_exception(error);
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
  const MappedFile mapped(file);
  Manifest manifest =
      parse_manifest({reinterpret_cast<const char*>(mapped.bytes().data()), mapped.bytes().size()}, file);
  GMAIL_INPUT(!manifest.records.empty(), file.string(), ": no records");
  return manifest;
}

void write_manifest(const std::filesystem::path& file, const std::function<void(const AddRecord&)>& fill) {
  constexpr size_t kPiece = size_t{1} << 18;
  write_atomically(file, [&](const ByteSink& write) {
    std::string text;
    NameSet ids;
    fill([&](const Record& r) {
      if (!ids.insert(r.id)) return false;
      append_line(text, r, file);
      if (text.size() >= kPiece) {
        write(std::as_bytes(std::span(text)));
        text.clear();
      }
      return true;
    });
    write(std::as_bytes(std::span(text)));
  });
}

void write_manifest(const std::filesystem::path& file, std::span<const Record> records) {
  write_manifest(file, [&](const AddRecord& add) {
    for (const Record& r : records)
      GMAIL_CHECK(add(r), "[write] ", file.string(), ": the id \"", r.id, "\" comes twice");
  });
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
