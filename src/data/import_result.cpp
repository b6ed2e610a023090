#include "data/import_result.h"

#include <algorithm>
#include <cctype>

#include "core/check.h"
#include "data/utf8.h"
#include "io/files.h"

namespace gmail {

namespace fs = std::filesystem;

void Imported::skip(const std::string& reason, const std::string& what) {
  Skipped& s = skipped[reason];
  if (s.count++ == 0) s.first = what;
}

std::string Imported::report() const {
  std::string text = concat(records.size(), " records");
  for (const auto& [reason, s] : skipped)
    text += concat(&reason == &skipped.begin()->first ? "; skipped: " : ", ", s.count, " ", reason, " (",
                   s.count > 1 ? "first " : "", s.first, ")");
  return text;
}

void Imported::write(const fs::path& file) const {
  GMAIL_INPUT(!records.empty(), file.string(), ": nothing to import: ", report());
  make_parent_dirs(file);
  write_manifest(file, records);
}

std::string relative_path(const fs::path& path, const fs::path& folder) {
  const fs::path from = fs::weakly_canonical(fs::absolute(folder)),
                 to = fs::weakly_canonical(fs::absolute(path));
  const fs::path relative = to.lexically_relative(from);
  return relative.empty() ? to.string() : relative.string();
}

namespace {
std::string trimmed(std::string_view s) {
  constexpr std::string_view kBlank = " \t\r";
  const size_t begin = s.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return "";
  return std::string(s.substr(begin, s.find_last_not_of(kBlank) - begin + 1));
}
}  // namespace

std::vector<NamedText> read_tsv(const fs::path& file) {
  const std::string text = read_text(file);
  std::vector<NamedText> rows;
  std::string_view rest = text;
  for (int64_t line = 1; !rest.empty(); ++line) {
    const std::string_view row = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), row.size() + 1));
    if (trimmed(row).empty()) continue;
    const std::string where = concat(file.string(), ":", line);
    const size_t bad = find_bad_utf8(row), tab = row.find('\t');
    GMAIL_INPUT(bad == std::string_view::npos, where, ": not valid UTF-8 at column ", bad + 1);
    GMAIL_INPUT(tab != std::string_view::npos, where, ": expected a name, a tab and a caption, found no tab");
    rows.push_back({trimmed(row.substr(0, tab)), trimmed(row.substr(tab + 1)), line});
    GMAIL_INPUT(!rows.back().name.empty() && !rows.back().text.empty(), where,
                ": expected a name, a tab and a caption, found an empty ",
                rows.back().name.empty() ? "name" : "caption");
  }
  return rows;
}

std::vector<fs::path> list_images(const fs::path& folder) {
  GMAIL_INPUT(fs::is_directory(folder), folder.string(), ": not a folder");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder)) {
    std::string extension = entry.path().extension().string();
    for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    if (extension == ".jpg" || extension == ".jpeg" || extension == ".png") files.push_back(entry.path());
  }
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace gmail
