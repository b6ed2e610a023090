#include "io/json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "core/check.h"
#include "io/files.h"

namespace gmail {

namespace {

// "FILE:LINE", and the column, of a byte of the text.
struct Place {
  std::string line;
  size_t column;
};
Place place_of(std::string_view text, size_t byte, const std::string& file, int64_t line) {
  const std::string_view before = text.substr(0, byte);
  const size_t begin = before.rfind('\n') == std::string_view::npos ? 0 : before.rfind('\n') + 1;
  return {concat(file, ":", line + std::count(before.begin(), before.end(), '\n')), byte - begin + 1};
}

// Remembers the keys of each object that is open, to find one that comes twice.
class RepeatedKey {
 public:
  bool operator()(int /*depth*/, Json::parse_event_t event, const Json& value) {
    if (event == Json::parse_event_t::object_start) open_.emplace_back();
    if (event == Json::parse_event_t::object_end) open_.pop_back();
    if (event == Json::parse_event_t::key && !open_.back().insert(value.get_ref<const std::string&>()).second)
      repeated_ = value.get<std::string>();
    return true;
  }
  [[nodiscard]] const std::string& repeated() const { return repeated_; }

 private:
  std::vector<std::unordered_set<std::string>> open_;
  std::string repeated_;
};

}  // namespace

Json parse_json(std::string_view text, const std::string& file, int64_t line) {
  RepeatedKey keys;
  Json value;
  try {
    value = Json::parse(text,
                        [&](int depth, Json::parse_event_t event, Json& v) { return keys(depth, event, v); });
  } catch (const Json::parse_error& e) {
    const Place place = place_of(text, std::min(text.size(), e.byte > 0 ? e.byte - 1 : 0), file, line);
    const bool encoding = std::string_view(e.what()).find("UTF-8") != std::string_view::npos;
    throw InputError(
        concat(place.line, encoding ? ": not valid UTF-8" : ": not valid JSON", " at column ", place.column));
  } catch (const Json::exception&) {  // a number beyond a double
    throw InputError(concat(file, ":", line, ": not valid JSON: a number is out of range"));
  }
  GMAIL_INPUT(keys.repeated().empty(), file, ":", line, ": field \"", keys.repeated(), "\" is given twice");
  return value;
}

Json read_json(const std::filesystem::path& path) { return parse_json(read_text(path), path.string()); }

void write_json(const std::filesystem::path& path, const Json& value) {
  write_atomically(path, value.dump(2) + "\n");
}

std::string describe(const Json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump(-1, ' ', true);  // ASCII: safe to cut anywhere
  if (text.size() > kLongest) text = text.substr(0, kLongest - 3) + "...";
  return text;
}

Fields::Fields(const Json& object, std::string where, std::string prefix)
    : object_(object), where_(std::move(where)), prefix_(std::move(prefix)) {
  GMAIL_INPUT(object.is_object(), where_, ": expected an object, found ", describe(object));
}

bool Fields::has(const std::string& name) {
  known_.push_back(name);
  return object_.contains(name);
}

void Fields::wrong(const std::string& name, std::string_view expected) const {
  const auto found = object_.find(name);
  throw InputError(concat(where_, ": field \"", prefix_, name, "\": expected ", expected, ", found ",
                          found == object_.end() ? "nothing" : describe(*found)));
}

const Json& Fields::at(const std::string& name, std::string_view expected) {
  if (!has(name)) wrong(name, expected);
  return *object_.find(name);
}

namespace {
bool is_text(const Json& v) {
  return v.is_string() && v.get_ref<const std::string&>().find_first_not_of(" \t\r\n") != std::string::npos;
}
}  // namespace

std::string Fields::text(const std::string& name) {
  constexpr std::string_view kExpected = "a non-empty string";
  const Json& v = at(name, kExpected);
  if (!is_text(v)) wrong(name, kExpected);
  return v.get<std::string>();
}

std::vector<std::string> Fields::texts(const std::string& name) {
  constexpr std::string_view kExpected = "a non-empty list of strings";
  const Json& v = at(name, kExpected);
  if (!v.is_array() || v.empty() || !std::all_of(v.begin(), v.end(), is_text)) wrong(name, kExpected);
  return v.get<std::vector<std::string>>();
}

int64_t Fields::whole(const std::string& name) {
  constexpr std::string_view kExpected = "a whole number, zero or more";
  const Json& v = at(name, kExpected);
  const bool too_large = v.is_number_unsigned() && v.get<uint64_t>() > static_cast<uint64_t>(INT64_MAX);
  if (!v.is_number_integer() || too_large || v.get<int64_t>() < 0) wrong(name, kExpected);
  return v.get<int64_t>();
}

double Fields::number(const std::string& name) {
  const Json& v = at(name, "a number");
  if (!v.is_number()) wrong(name, "a number");
  return v.get<double>();
}

Fields Fields::object(const std::string& name) {
  const Json& v = at(name, "an object");
  if (!v.is_object()) wrong(name, "an object");
  return {v, where_, prefix_ + name + "."};
}

void Fields::finish() const {
  for (const auto& item : object_.items()) {
    if (std::find(known_.begin(), known_.end(), item.key()) != known_.end()) continue;
    std::string known;
    for (const std::string& name : known_) known += (known.empty() ? "" : ", ") + name;
    throw InputError(concat(where_, ": field \"", prefix_, item.key(), "\": unknown; known are ", known));
  }
}

}  // namespace gmail
