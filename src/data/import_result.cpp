#include "data/import_result.h"

#include <algorithm>
#include <cctype>

#include "core/check.h"
#include "io/files.h"
#include "io/utf8.h"

namespace gmail {

namespace fs = std::filesystem;

void Skips::skip(const std::string& reason, const std::string& what) {
  Skipped& s = skipped[reason];
  if (s.count++ == 0) s.first = what;
}

void Skips::add_skipped(const Skips& other) {
  for (const auto& [reason, s] : other.skipped) {
    Skipped& mine = skipped[reason];
    if (mine.count == 0) mine.first = s.first;
    mine.count += s.count;
  }
}

std::string Skips::text() const {
  std::string text;
  for (const auto& [reason, s] : skipped)
    text += concat(text.empty() ? "; skipped: " : ", ", s.count, " ", reason, " (",
                   s.count > 1 ? "first " : "", s.first, ")");
  return text;
}

std::string Imported::report() const { return concat(records.size(), " records", text()); }

void Imported::write(const fs::path& file) const {
  GMAIL_INPUT(!records.empty(), file.string(), ": nothing to import: ", report());
  make_parent_dirs(file);
  write_manifest(file, records);
}

std::string stream_manifest(const fs::path& file, const std::function<Skips(const AddRecord&)>& import) {
  make_parent_dirs(file);
  int64_t records = 0, captions = 0;
  std::string report;
  write_manifest(file, [&](const AddRecord& add) {
    const Skips skips = import([&](const Record& r) {
      const bool added = add(r);
      records += added ? 1 : 0;
      captions += added ? static_cast<int64_t>(r.captions.size()) : 0;
      return added;
    });
    report = concat(records, " records, ", captions, " captions", skips.text());
    GMAIL_INPUT(records > 0, file.string(), ": nothing to import: ", report);
  });
  return report;
}

std::string relative_path(const fs::path& path, const fs::path& folder) {
  const fs::path from = fs::weakly_canonical(fs::absolute(folder)),
                 to = fs::weakly_canonical(fs::absolute(path));
  const fs::path relative = to.lexically_relative(from);
  return relative.empty() ? to.string() : relative.string();
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n\v\f";
  const size_t begin = text.find_first_not_of(kBlank);
  return begin == std::string_view::npos ? "" : text.substr(begin, text.find_last_not_of(kBlank) - begin + 1);
}

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
    rows.push_back(
        {std::string(trimmed(row.substr(0, tab))), std::string(trimmed(row.substr(tab + 1))), line});
    GMAIL_INPUT(!rows.back().name.empty() && !rows.back().text.empty(), where,
                ": expected a name, a tab and a caption, found an empty ",
                rows.back().name.empty() ? "name" : "caption");
  }
  return rows;
}

bool is_image_name(const fs::path& file) {
  std::string extension = file.extension().string();
  for (char& c : extension) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return extension == ".jpg" || extension == ".jpeg" || extension == ".png";
}

std::vector<fs::path> list_images(const fs::path& folder) {
  GMAIL_INPUT(fs::is_directory(folder), folder.string(), ": not a folder");
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder))
    if (is_image_name(entry.path())) files.push_back(entry.path());
  std::sort(files.begin(), files.end());
  return files;
}

}  // namespace gmail
