#include "data/import_generated.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <unordered_map>

#include "core/check.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

struct Found {
  int64_t real, caption, k;  // k: -1 if the name has none
  fs::path file;
  [[nodiscard]] auto key() const { return std::tie(real, caption, k, file); }
};

// "..._12" -> 12, and the name is cut before it; -1 if there is no such ending
int64_t take_number(std::string& name) {
  const size_t mark = name.rfind('_');
  if (mark == std::string::npos || mark + 1 == name.size()) return -1;
  int64_t value = -1;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + mark + 1, end, value);
  if (error != std::errc() || stop != end || value < 0) return -1;
  name.resize(mark);
  return value;
}

class Matcher {
 public:
  explicit Matcher(const Manifest& real) : real_(real) {
    for (int64_t i = 0; i < real.size(); ++i)
      if (!real[i].source.generated) index_.emplace(real[i].id, i);
  }

  // The reason why the file is skipped, or "". An id may itself end in _<number>: both readings are tried,
  // and the one whose caption exists is taken, <id>_<index> before <id>_<index>_<k>.
  std::string match(const fs::path& file, Found& found) const {
    std::string name = file.stem().string();
    const int64_t last = take_number(name);
    if (last < 0) return "files not named <id>_<caption>";
    std::string shorter = name;
    const int64_t before = take_number(shorter);
    bool known = false;
    for (const auto& [id, caption, k] :
         {std::tuple(name, last, int64_t{-1}), std::tuple(shorter, before, last)}) {
      const auto at = index_.find(id);
      if (caption < 0 || at == index_.end()) continue;
      known = true;
      if (caption >= static_cast<int64_t>(real_[at->second].captions.size())) continue;
      found = {at->second, caption, k, file};
      return "";
    }
    return known ? "images of a caption that the record does not have" : "images of an unknown record";
  }

 private:
  const Manifest& real_;
  std::unordered_map<std::string, int64_t> index_;
};

}  // namespace

Imported import_generated(const fs::path& images, const Manifest& real, const GeneratedBy& by,
                          const fs::path& folder) {
  GMAIL_INPUT(!by.generator.empty(), "generator: expected a name, found nothing");
  const Matcher matcher(real);
  Imported out;
  std::vector<Found> all;
  for (const fs::path& file : list_images(images)) {
    Found found{};
    const std::string reason = matcher.match(file, found);
    if (reason.empty())
      all.push_back(found);
    else
      out.skip(reason, file.filename().string());
  }
  std::sort(all.begin(), all.end(), [](const Found& a, const Found& b) { return a.key() < b.key(); });
  const fs::path prefix = relative_path(images, folder);
  const Found* last = nullptr;
  for (const Found& f : all) {
    if (last && std::tie(last->real, last->caption, last->k) == std::tie(f.real, f.caption, f.k)) {
      out.skip("second files of the same image", f.file.filename().string());  // a.png beside a.jpg
      continue;
    }
    last = &f;
    const Record& r = real[f.real];
    Source source{true, r.id, f.caption, by.generator, by.seed, by.guidance, by.steps};
    out.records.push_back({f.file.stem().string(),
                           (prefix / f.file.filename()).lexically_normal().string(),
                           {r.captions[static_cast<size_t>(f.caption)]},
                           r.split,
                           r.label,
                           std::move(source)});
  }
  return out;
}

}  // namespace gmail
