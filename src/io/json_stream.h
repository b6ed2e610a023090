// JSON read piece by piece, in the memory of its largest string: for annotation files of gigabytes, and for
// lines that come by the hundred thousand. As strict as parse_json (RFC 8259; UTF-8; no trailing comma, no
// key twice).
//   JsonStream in(file);
//   for (in.begin_object(); in.next_key();)
//     if (in.key() == "images")
//       for (in.begin_array(); in.next_element();) use(in.whole());
//   in.finish();
// A value that nobody reads is skipped, checked all the same. Every error is an InputError with file and
// line:
//   captions.json:1: not valid JSON at column 2525261              (a column is a byte of its line)
//   captions.json:1: field "annotations[17].caption": expected a string, found 5
#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "io/input_file.h"

namespace gmail {

class JsonStream {
 public:
  explicit JsonStream(const std::filesystem::path& file,
                      size_t piece = size_t{1} << 18);  // bytes read at once
  // `text` must outlive this; `line` is where it begins in the file of this name.
  JsonStream(std::string_view text, std::string name, int64_t line = 1);

  enum class Kind { object, array, string, number, literal };
  [[nodiscard]] Kind peek();  // of the value that comes next

  void begin_object();
  [[nodiscard]] bool next_key();  // false once, behind the last
  [[nodiscard]] const std::string& key() const { return frames_[depth_ - 1].key; }
  void begin_array();
  [[nodiscard]] bool next_element();
  [[nodiscard]] const std::string& text();  // stays until the next string is read
  [[nodiscard]] int64_t whole();            // zero or more
  [[nodiscard]] double number();
  void skip();
  void finish();  // nothing but blanks may follow

  [[nodiscard]] std::string where() const;  // "FILE:LINE"
  // Until release(), errors quote the whole of the value that comes next: a list for what one element has
  // wrong.
  void mark();
  void release() { marked_ = false; }
  // field "..": expected .., found the marked value, or else the one read last (the next one, if that is
  // unread).
  [[noreturn]] void wrong(std::string_view expected);
  // The object that has just ended lacks the field.
  [[noreturn]] void missing(std::string_view field, std::string_view expected) const;
  // The key just read is none of these.
  [[noreturn]] void unknown(std::string_view known) const;

 private:
  struct Frame {
    bool object = false, first = true;
    int64_t index = -1;
    std::string key;
    std::vector<std::string> keys;  // seen; a pool, of which `count` are in use
    size_t count = 0;
    std::unordered_set<std::string> many;  // instead, in an object of many keys
  };
  struct Value {
    size_t at = 0, depth = 0;
    int64_t line = 1;
  };

  [[nodiscard]] int get() { return at_ < size_ || more() ? static_cast<unsigned char>(data_[at_]) : -1; }
  [[nodiscard]] bool more();
  void look_ahead(size_t bytes);
  void blank();
  [[noreturn]] void syntax(std::string_view what = "not valid JSON") const;
  void open(bool object);
  [[nodiscard]] bool next(bool object);
  void note_key(Frame& frame);
  void scan_string(std::string& out);
  void scan_escape(std::string& out);
  [[nodiscard]] int32_t scan_hex();
  void scan_number();
  void scan_literal();
  [[nodiscard]] std::string path_to(size_t depth) const;

  std::string name_;
  std::unique_ptr<InputFile> file_;
  size_t piece_ = 0;
  std::string buffer_;                            // of the file: from the marked value on, or the current one
  const char* data_ = nullptr;                    // the buffer or the text
  size_t size_ = 0, at_ = 0;                      // bytes there, and the next one
  int64_t base_ = 0, line_ = 1, line_begin_ = 0;  // where data_ and the line begin, in bytes of the file
  std::vector<Frame> frames_;                     // a pool: what is open is below depth_
  size_t depth_ = 0;
  bool unread_ = true;  // the value that comes next
  bool marked_ = false;
  Value value_, mark_;
  std::string text_, number_;
};

// Appends the string with its quotes, escaped where JSON needs it, as the library does.
void append_json(std::string& out, std::string_view text);

}  // namespace gmail
