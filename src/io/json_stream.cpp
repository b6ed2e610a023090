#include "io/json_stream.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/check.h"
#include "io/json.h"
#include "io/utf8.h"

namespace gmail {
namespace {

constexpr size_t kDeepest = 1000;
constexpr size_t kFewKeys = 16;

bool is_digit(int c) { return c >= '0' && c <= '9'; }
bool is_plain(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= 0x20 && byte < 0x80 && c != '"' && c != '\\';
}

double to_double(const std::string& number) {
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  return error == std::errc() ? value
                              : std::strtod(number.c_str(), nullptr);  // which rounds to 0 or infinity
}

}  // namespace

JsonStream::JsonStream(const std::filesystem::path& file, size_t piece)
    : name_(file.string()), file_(std::make_unique<InputFile>(file)), piece_(piece) {
  look_ahead(3);
  if (std::string_view(data_, size_).starts_with("\xEF\xBB\xBF")) at_ = 3;
}

JsonStream::JsonStream(std::string_view text, std::string name, int64_t line)
    : name_(std::move(name)), data_(text.data()), size_(text.size()), line_(line) {
  if (text.starts_with("\xEF\xBB\xBF")) at_ = 3;
}

// The file's next piece. What an error may still quote stays in the buffer.
bool JsonStream::more() {
  if (!file_) return false;
  const size_t keep = std::min({at_, value_.at, marked_ ? mark_.at : at_});
  buffer_.erase(0, keep);
  base_ += static_cast<int64_t>(keep);
  at_ -= keep;
  value_.at -= keep;
  mark_.at -= std::min(keep, mark_.at);
  const size_t before = buffer_.size();
  buffer_.resize(before + piece_);
  buffer_.resize(before + file_->read(std::as_writable_bytes(std::span(buffer_).subspan(before))));
  data_ = buffer_.data();
  size_ = buffer_.size();
  return size_ > before;
}

void JsonStream::look_ahead(size_t bytes) {
  while (size_ - at_ < bytes && more()) {
  }
}

void JsonStream::blank() {
  for (int c = get(); c == ' ' || c == '\t' || c == '\r' || c == '\n'; c = get()) {
    ++at_;
    if (c != '\n') continue;
    ++line_;
    line_begin_ = base_ + static_cast<int64_t>(at_);
  }
}

std::string JsonStream::where() const { return concat(name_, ":", line_); }

void JsonStream::syntax(std::string_view what) const {
  throw InputError(
      concat(where(), ": ", what, " at column ", base_ + static_cast<int64_t>(at_) - line_begin_ + 1));
}

std::string JsonStream::path_to(size_t depth) const {
  std::string path;
  for (size_t i = 0; i < depth; ++i) {
    const Frame& f = frames_[i];
    path += f.object ? (path.empty() ? "" : ".") + f.key : concat("[", f.index, "]");
  }
  return path;
}

JsonStream::Kind JsonStream::peek() {
  blank();
  const int c = get();
  if (unread_) value_ = {at_, depth_, line_};
  if (c == '{') return Kind::object;
  if (c == '[') return Kind::array;
  if (c == '"') return Kind::string;
  if (c == '-' || is_digit(c)) return Kind::number;
  if (c != 't' && c != 'f' && c != 'n') syntax();
  return Kind::literal;
}

void JsonStream::open(bool object) {
  if (depth_ == kDeepest) syntax(concat("nested deeper than ", kDeepest));
  ++at_;
  if (depth_ == frames_.size()) frames_.emplace_back();
  Frame& f = frames_[depth_++];
  f.object = object;
  f.first = true;
  f.index = -1;
  f.count = 0;
  f.many.clear();
  unread_ = false;
}

void JsonStream::begin_object() {
  if (peek() != Kind::object) wrong("an object");
  open(true);
}

void JsonStream::begin_array() {
  if (peek() != Kind::array) wrong("a list");
  open(false);
}

bool JsonStream::next_key() { return next(true); }
bool JsonStream::next_element() { return next(false); }

bool JsonStream::next(bool object) {
  if (unread_) skip();
  Frame& f = frames_[depth_ - 1];
  blank();
  int c = get();
  if (c == (object ? '}' : ']')) {
    ++at_;
    --depth_;
    return false;
  }
  if (!f.first) {
    if (c != ',') syntax();
    ++at_;
    blank();
    c = get();
  }
  f.first = false;
  ++f.index;
  if (object) {
    if (c != '"') syntax();
    ++at_;
    scan_string(f.key);
    note_key(f);
    blank();
    if (get() != ':') syntax();
    ++at_;
  }
  unread_ = true;
  return true;
}

void JsonStream::note_key(Frame& f) {
  bool fresh = true;
  if (f.many.empty()) {
    const auto end = f.keys.begin() + static_cast<std::ptrdiff_t>(f.count);
    fresh = std::find(f.keys.begin(), end, f.key) == end;
    if (f.count == f.keys.size()) f.keys.emplace_back();
    f.keys[f.count++] = f.key;
    if (f.count == kFewKeys) f.many.insert(f.keys.begin(), f.keys.end());
  } else {
    fresh = f.many.insert(f.key).second;
  }
  GMAIL_INPUT(fresh, where(), ": field \"", path_to(depth_), "\" is given twice");
}

const std::string& JsonStream::text() {
  if (peek() != Kind::string) wrong("a string");
  ++at_;
  unread_ = false;
  scan_string(text_);
  return text_;
}

int64_t JsonStream::whole() {
  constexpr std::string_view kExpected = "a whole number, zero or more";
  if (peek() != Kind::number) wrong(kExpected);
  scan_number();
  int64_t value = 0;
  const char* end = number_.data() + number_.size();
  const auto [stop, error] = std::from_chars(number_.data(), end, value);
  if (error != std::errc() || stop != end || value < 0) wrong(kExpected);
  return value;
}

double JsonStream::number() {
  if (peek() != Kind::number) wrong("a number");
  scan_number();
  return to_double(number_);
}

void JsonStream::skip() {
  const size_t depth = depth_;
  for (;;) {
    switch (peek()) {
      case Kind::object:
        open(true);
        break;
      case Kind::array:
        open(false);
        break;
      case Kind::string:
        (void)text();
        break;
      case Kind::number:
        scan_number();
        break;
      case Kind::literal:
        scan_literal();
        break;
    }
    while (depth_ > depth && !next(frames_[depth_ - 1].object)) {
    }
    if (depth_ == depth) return;
  }
}

void JsonStream::finish() {
  if (unread_) skip();
  blank();
  if (get() >= 0) syntax();
}

void JsonStream::scan_string(std::string& out) {
  out.clear();
  for (;;) {
    size_t end = at_;
    while (end < size_ && is_plain(data_[end])) ++end;
    out.append(data_ + at_, end - at_);
    at_ = end;
    const int c = get();
    if (c == '"') break;
    if (c == '\\') {
      scan_escape(out);
    } else if (c >= 0x80) {
      look_ahead(4);
      const CodePoint code = code_point({data_, size_}, at_);
      if (code.code < 0) syntax("not valid UTF-8");
      out.append(data_ + at_, code.bytes);
      at_ += code.bytes;
    } else if (c < 0x20) {
      syntax();
    }
  }
  ++at_;
}

void JsonStream::scan_escape(std::string& out) {
  constexpr std::string_view kNames = "\"\\/bfnrt", kBytes = "\"\\/\b\f\n\r\t";
  look_ahead(12);  // a pair of surrogates
  ++at_;
  const int c = get();
  const size_t which = c < 0 ? std::string_view::npos : kNames.find(static_cast<char>(c));
  if (which != std::string_view::npos) {
    ++at_;
    out.push_back(kBytes[which]);
    return;
  }
  if (c != 'u') syntax();
  int32_t code = scan_hex();
  if (code >= 0xDC00 && code < 0xE000) syntax();
  if (code >= 0xD800 && code < 0xDC00) {
    if (get() != '\\') syntax();
    ++at_;
    if (get() != 'u') syntax();
    const int32_t low = scan_hex();
    if (low < 0xDC00 || low >= 0xE000) syntax();
    code = 0x10000 + ((code - 0xD800) << 10) + (low - 0xDC00);
  }
  append_code_point(out, code);
}

// "u12ab"
int32_t JsonStream::scan_hex() {
  ++at_;
  int32_t code = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const int c = get(), letter = c | 0x20;
    if (!is_digit(c) && !(c > 0 && letter >= 'a' && letter <= 'f')) syntax();
    code = code * 16 + (is_digit(c) ? c - '0' : letter - 'a' + 10);
  }
  return code;
}

void JsonStream::scan_number() {
  number_.clear();
  bool large = false;  // needs a look at its size
  const auto take = [&] {
    number_.push_back(data_[at_]);
    ++at_;
  };
  const auto digits = [&] {
    if (!is_digit(get())) syntax();
    while (is_digit(get())) take();
  };
  unread_ = false;
  if (get() == '-') take();
  if (get() == '0')
    take();
  else
    digits();
  if (get() == '.') {
    take();
    digits();
  }
  if (get() == 'e' || get() == 'E') {
    large = true;
    take();
    if (get() == '+' || get() == '-') take();
    digits();
  }
  if ((large || number_.size() > 300) && !std::isfinite(to_double(number_)))
    throw InputError(concat(where(), ": not valid JSON: a number is out of range"));
}

void JsonStream::scan_literal() {
  const int first = get();
  for (const char c : std::string_view(first == 't' ? "true" : first == 'f' ? "false" : "null")) {
    if (get() != c) syntax();
    ++at_;
  }
  unread_ = false;
}

void JsonStream::mark() {
  (void)peek();
  mark_ = value_;
  marked_ = true;
}

void JsonStream::wrong(std::string_view expected) {
  if (!marked_) mark_ = value_;
  marked_ = true;
  if (unread_) skip();
  while (depth_ > mark_.depth)  // the rest of what is to be quoted
    (void)next(frames_[depth_ - 1].object);
  const std::string_view raw(data_ + mark_.at, at_ - mark_.at);
  const std::string path = path_to(mark_.depth);
  throw InputError(concat(name_, ":", mark_.line, ": ", path.empty() ? "" : concat("field \"", path, "\": "),
                          "expected ", expected, ", found ", describe(Json::parse(raw))));
}

void JsonStream::missing(std::string_view field, std::string_view expected) const {
  std::string path = path_to(depth_);
  if (!path.empty()) path += ".";
  throw InputError(concat(where(), ": field \"", path, field, "\": expected ", expected, ", found nothing"));
}

void JsonStream::unknown(std::string_view known) const {
  throw InputError(concat(where(), ": field \"", path_to(depth_), "\": unknown; known are ", known));
}

void append_json(std::string& out, std::string_view text) {
  constexpr std::string_view kNames = "\"\\bfnrt", kBytes = "\"\\\b\f\n\r\t", kHex = "0123456789abcdef";
  const auto plain = [](char c) { return c != '"' && c != '\\' && static_cast<unsigned char>(c) >= 0x20; };
  out.push_back('"');
  while (!text.empty()) {
    const auto special = std::find_if_not(text.begin(), text.end(), plain);
    out.append(text.begin(), special);
    text.remove_prefix(static_cast<size_t>(special - text.begin()));
    if (text.empty()) break;
    const size_t which = kBytes.find(text[0]);
    const auto byte = static_cast<unsigned char>(text[0]);
    if (which != std::string_view::npos)
      out.append({'\\', kNames[which]});
    else
      out.append("\\u00").append({kHex[byte >> 4], kHex[byte & 15]});
    text.remove_prefix(1);
  }
  out.push_back('"');
}

}  // namespace gmail
