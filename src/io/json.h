// JSON of the user's: errors name file, line and field. Unknown and repeated keys are errors, never ignored.
#pragma once

#include <cstdint>
#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace gmail {

using Json = nlohmann::json;

// Throws InputError "FILE:LINE: ..." if the text is not JSON, not UTF-8, or repeats a key. `line` is where it
// begins.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& file, int64_t line = 1);
[[nodiscard]] Json read_json(const std::filesystem::path& path);
// Written as a whole or not at all; throws Error if the disk is full.
void write_json(const std::filesystem::path& path, const Json& value);

// The value, cut short, for "found ..." in a message.
[[nodiscard]] std::string describe(const Json& value);

// The fields of one object, asked for by name and type; finish() refuses those that nobody asked for. Errors
// begin with `where` ("runs/x/manifest.jsonl:7"). The object must outlive this.
class Fields {
 public:
  Fields(const Json& object, std::string where, std::string prefix = "");

  [[nodiscard]] bool has(const std::string& name);          // optional fields are asked for first
  [[nodiscard]] std::string text(const std::string& name);  // a string that is not blank
  [[nodiscard]] std::vector<std::string> texts(const std::string& name);  // a non-empty list of them
  [[nodiscard]] int64_t whole(const std::string& name);                   // a whole number >= 0
  [[nodiscard]] double number(const std::string& name);                   // any finite number
  [[nodiscard]] Fields object(const std::string& name);
  void finish() const;

  // throws: field `name`: expected ..., found what stands there
  [[noreturn]] void wrong(const std::string& name, std::string_view expected) const;

 private:
  const Json& at(const std::string& name, std::string_view expected);
  const Json& object_;
  std::string where_, prefix_;
  std::vector<std::string> known_;
};

}  // namespace gmail
