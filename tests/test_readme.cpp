// Protects the README's table from the paper to the code: every file and function that it names exists.
#include "catch.h"

#include <fstream>
#include <iterator>
#include <regex>
#include <string>

namespace {

// relative to the checkout, which the build names
std::string read(const std::string& path) {
  std::ifstream file(std::string(GMAIL_SOURCE_DIR) + "/" + path);
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("readme: the table from the paper to the code names what exists") {
  const std::string readme = read("README.md");
  const std::regex row(R"(\n\| ([^|\n]+) \| `(src/[a-z0-9_/]+\.(?:h|cpp))` \| `([A-Za-z0-9_]+)` \|)");
  int64_t rows = 0, equations = 0;
  for (std::sregex_iterator it(readme.begin(), readme.end(), row), end; it != end; ++it, ++rows) {
    const std::string what = (*it)[1], file = (*it)[2], function = (*it)[3];
    equations += what.find("eq. (1), L_align") != std::string::npos ? 1 : 0;
    INFO(what << ": " << file << ", " << function);
    CHECK(std::regex_search(read(file), std::regex("\\b" + function + "\\b")));
  }
  CHECK(rows >= 10);
  CHECK(equations == 1);
}
