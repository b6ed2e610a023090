#include "data/import_generated.h"

#include <algorithm>
#include <charconv>
#include <tuple>
#include <unordered_map>
#include <unordered_set>

#include "core/check.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

// An image to be paired: its id, the name that may tell its caption, and its place in the manifest.
struct Drawn {
  std::string id, name, image, caption;
};

struct Found {
  int64_t real = 0, caption = 0, k = -1;  // k: -1 if the name has none
  Drawn drawn;
  [[nodiscard]] auto key() const { return std::tie(real, caption, k, drawn.id, drawn.image); }
};

// all of it a number, or -1
int64_t number(std::string_view text) {
  int64_t value = -1;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error != std::errc() || stop != end || value < 0 ? -1 : value;
}

// "..._12" -> 12, and the name is cut before it; -1 if there is no such ending
int64_t take_number(std::string& name) {
  const size_t mark = name.rfind('_');
  if (mark == std::string::npos) return -1;
  const int64_t value = number(std::string_view(name).substr(mark + 1));
  if (value >= 0) name.resize(mark);
  return value;
}

// Words with one blank between them.
std::string plain(std::string_view text) {
  constexpr std::string_view kWhite = " \t\n\r\f\v";
  std::string out;
  for (size_t at = text.find_first_not_of(kWhite); at != std::string_view::npos;
       at = text.find_first_not_of(kWhite, at)) {
    const size_t end = std::min(text.find_first_of(kWhite, at), text.size());
    if (!out.empty()) out += ' ';
    out += text.substr(at, end - at);
    at = end;
  }
  return out;
}

enum class Match : uint8_t { paired, ambiguous, unmatched };

class Matcher {
 public:
  Matcher(const Manifest& real, PairBy by) : real_(real), by_(by) {
    for (int64_t i = 0; i < real.size(); ++i) {
      if (real[i].source.generated) continue;
      ids_.emplace(real[i].id, i);
      for (int64_t c = 0; c < std::ssize(real[i].captions); ++c) {
        if (by == PairBy::index) order_.emplace_back(i, c);
        if (by != PairBy::caption) continue;
        const auto [at, fresh] =
            captions_.emplace(plain(real[i].captions[static_cast<size_t>(c)]), std::pair(i, c));
        if (!fresh && at->second.first != i) at->second.first = kSeveral;
      }
    }
  }

  // found.real, .caption and .k, or the reason why not
  Match match(Found& found, std::string& reason) const {
    if (by_ == PairBy::id) return match_id(found, reason);
    if (by_ == PairBy::index) {
      const int64_t n = number(found.drawn.name);
      reason = n < 0 ? "images not named by a number" : "images of a number beyond the captions";
      if (n < 0 || n >= std::ssize(order_)) return Match::unmatched;
      std::tie(found.real, found.caption) = order_[static_cast<size_t>(n)];
      return Match::paired;
    }
    reason = "images of an unknown caption";
    const auto at = captions_.find(plain(found.drawn.caption));
    if (at == captions_.end()) return Match::unmatched;
    reason = "images of a caption that several records have";
    if (at->second.first == kSeveral) return Match::ambiguous;
    std::tie(found.real, found.caption) = at->second;
    return Match::paired;
  }

 private:
  static constexpr int64_t kSeveral = -2;

  // An id may itself end in _<number>: all readings are tried, and the first whose caption exists is taken:
  // <id>_<index>, <id>_<index>_<k>, <id>.
  Match match_id(Found& found, std::string& reason) const {
    const std::string& whole = found.drawn.name;
    std::string name = whole;
    const int64_t last = take_number(name);
    std::string shorter = name;
    const int64_t before = last < 0 ? -1 : take_number(shorter);
    bool known = false;
    for (const auto& [id, caption, k] :
         {std::tuple(name, last, int64_t{-1}), std::tuple(shorter, before, last),
          std::tuple(whole, int64_t{0}, int64_t{-1})}) {
      const auto at = ids_.find(id);
      if (caption < 0 || at == ids_.end()) continue;
      known = true;
      if (caption >= std::ssize(real_[at->second].captions)) continue;
      found.real = at->second, found.caption = caption, found.k = k;
      return Match::paired;
    }
    reason = known      ? "images of a caption that the record does not have"
             : last < 0 ? "files not named <id> or <id>_<caption>"
                        : "images of an unknown record";
    return Match::unmatched;
  }

  const Manifest& real_;
  PairBy by_;
  std::unordered_map<std::string, int64_t> ids_;
  std::unordered_map<std::string, std::pair<int64_t, int64_t>> captions_;
  std::vector<std::pair<int64_t, int64_t>> order_;
};

bool is_folder_of_images(const GeneratedImages& images) {
  if (images.given.size() != 1 || !fs::is_directory(images.given[0])) return false;
  const fs::directory_iterator all(images.given[0]);
  return std::none_of(begin(all), end(all), [](const auto& e) { return e.path().extension() == ".tar"; });
}

std::vector<Drawn> from_folder(const GeneratedImages& images, const fs::path& folder, Imported& out) {
  const fs::path prefix = relative_path(images.given[0], folder);
  std::vector<Drawn> all;
  for (const fs::path& file : list_images(images.given[0])) {
    std::vector<std::string> captions;
    if (images.by == PairBy::caption) {
      const fs::path beside = fs::path(file).replace_extension(images.caption.suffix);
      const bool there = fs::exists(beside);
      const std::string reason = there ? read_captions(images.caption, read_text(beside), captions)
                                       : "samples without a ." + images.caption.suffix;
      if (!reason.empty()) {
        out.skip(reason, file.filename().string());
        continue;
      }
    }
    const std::string stem = file.stem().string();
    all.push_back({stem, stem, (prefix / file.filename()).lexically_normal().string(),
                   captions.empty() ? "" : captions.front()});
  }
  return all;
}

std::vector<Drawn> from_shards(const GeneratedImages& images, const fs::path& folder, ImportedPairs& out) {
  ShardList list = list_shards(find_shards(images.given, out.imported));
  out.notes = std::move(list.notes);
  const auto caption = images.by == PairBy::caption ? std::optional(images.caption) : std::nullopt;
  std::vector<Drawn> all;
  for (ShardImage& image : shard_images(list.shards, caption, folder, out.imported)) {
    const std::string base = image.key.substr(image.key.rfind('/') + 1);
    all.push_back({std::move(image.key), base, std::move(image.image),
                   image.captions.empty() ? "" : std::move(image.captions.front())});
  }
  return all;
}

// Those of a real caption, in order.
std::vector<Found> match_all(std::vector<Drawn> drawn, const Matcher& matcher, ImportedPairs& out) {
  std::vector<Found> all;
  for (Drawn& d : drawn) {
    Found found;
    found.drawn = std::move(d);
    std::string reason;
    const Match match = matcher.match(found, reason);
    out.ambiguous += match == Match::ambiguous ? 1 : 0;
    out.unmatched += match == Match::unmatched ? 1 : 0;
    if (match == Match::paired)
      all.push_back(std::move(found));
    else
      out.imported.skip(reason, found.drawn.image);
  }
  std::sort(all.begin(), all.end(), [](const Found& a, const Found& b) { return a.key() < b.key(); });
  return all;
}

}  // namespace

PairBy pair_by(const std::string& word) {
  GMAIL_INPUT(word == "id" || word == "caption" || word == "index",
              "--key: expected id, caption or index, found \"", word, "\"");
  return word == "id" ? PairBy::id : word == "caption" ? PairBy::caption : PairBy::index;
}

std::string ImportedPairs::pairing() const {
  return concat(imported.records.size(), " paired with ", real, " real records, ", ambiguous, " ambiguous, ",
                unmatched, " unmatched");
}

ImportedPairs import_generated(const GeneratedImages& images, const Manifest& real, const GeneratedBy& by,
                               const fs::path& folder) {
  GMAIL_INPUT(!by.generator.empty(), "generator: expected a name, found nothing");
  ImportedPairs out;
  const std::vector<Found> all =
      match_all(is_folder_of_images(images) ? from_folder(images, folder, out.imported)
                                            : from_shards(images, folder, out),
                Matcher(real, images.by), out);
  std::unordered_set<std::string_view> ids;
  std::unordered_set<int64_t> paired;
  const Found* last = nullptr;
  for (const Found& f : all) {
    const bool again = images.by == PairBy::id && last &&
                       std::tie(last->real, last->caption, last->k) == std::tie(f.real, f.caption, f.k);
    if (again || !ids.insert(f.drawn.id).second) {
      out.imported.skip("second files of the same image", f.drawn.image);  // a.png beside a.jpg
      continue;
    }
    last = &f;
    paired.insert(f.real);
    const Record& r = real[f.real];
    Source source{true, r.id, f.caption, by.generator, by.seed, by.guidance, by.steps};
    out.imported.records.push_back({f.drawn.id,
                                    f.drawn.image,
                                    {r.captions[static_cast<size_t>(f.caption)]},
                                    r.split,
                                    r.label,
                                    std::move(source)});
  }
  out.real = std::ssize(paired);
  return out;
}

}  // namespace gmail
