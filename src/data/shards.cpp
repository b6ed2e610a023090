#include "data/shards.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <system_error>

#include "core/check.h"
#include "core/parallel_for.h"

namespace gmail {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kMagic = "gmail.shards.1\n";

// key and suffix; an empty key if the name has none
std::pair<std::string, std::string> split_name(std::string_view name) {
  while (name.starts_with("./")) name.remove_prefix(2);
  const size_t base = name.rfind('/') + 1, dot = name.find('.', base);
  if (dot == std::string_view::npos || dot == base) return {};
  std::string suffix(name.substr(dot + 1));
  for (char& c : suffix)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return {std::string(name.substr(0, dot)), std::move(suffix)};
}

bool is_meta(std::string_view name) {
  return name.find('/') == std::string_view::npos && name.starts_with("__") && name.ends_with("__");
}

// The fields of an index; after the first that is not there, nothing is.
class IndexReader {
 public:
  explicit IndexReader(std::string_view rest) : rest_(rest) {}
  [[nodiscard]] bool done() const { return rest_.empty(); }
  [[nodiscard]] bool good() const { return good_; }

  int64_t number() {
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), value);
    const auto n = static_cast<size_t>(stop - rest_.data());
    if (error != std::errc() || n == rest_.size() || rest_[n] != ' ') return fail();
    rest_.remove_prefix(n + 1);
    return value;
  }
  std::string text(char after) {
    const int64_t length = number();
    const auto n = static_cast<size_t>(length);
    if (!good_ || length < 0 || n >= rest_.size() || rest_[n] != after) return fail(), "";
    std::string value(rest_.substr(0, n));
    rest_.remove_prefix(n + 1);
    return value;
  }

 private:
  int64_t fail() {
    good_ = false;
    rest_ = {};
    return -1;
  }
  std::string_view rest_;
  bool good_ = true;
};

// One folder's index while its shards are listed.
class FolderIndex {
 public:
  FolderIndex(const fs::path& folder, std::vector<std::string>& notes)
      : file_(folder / kShardIndex), notes_(notes) {
    if (!fs::exists(file_)) return;
    const std::string text = read_text(file_);
    GMAIL_INPUT(text.starts_with("gmail.shards."), file_.string(),
                ": not an index of shards; remove it or rename it");
    auto known = parse_index(text);
    if (!known) notes_.push_back(file_.string() + ": a damaged index; made again");
    if (known)
      for (IndexedShard& s : *known) known_.emplace(s.name, std::move(s));
  }

  // Fills in the size and time of a shard, and its list if it is as it was; was it?
  bool find(IndexedShard& now, const fs::path& shard) {
    now.name = shard.filename().string();
    std::error_code missing;
    now.size = static_cast<int64_t>(fs::file_size(shard, missing));
    now.time = static_cast<int64_t>(fs::last_write_time(shard, missing).time_since_epoch().count());
    asked_.push_back(&now);
    const auto at = known_.find(now.name);
    const bool same =
        !missing && at != known_.end() && at->second.size == now.size && at->second.time == now.time;
    if (same) now.list = std::move(at->second.list);
    if (at != known_.end()) known_.erase(at);
    changed_ = changed_ || !same;
    return same;
  }

  // With the shards that nobody asked for, as long as they are there.
  void write() const {
    if (!changed_) return;
    std::vector<const IndexedShard*> all(asked_.begin(), asked_.end());
    for (const auto& [name, shard] : known_)
      if (fs::exists(file_.parent_path() / name)) all.push_back(&shard);
    std::sort(all.begin(), all.end(), [](const auto* a, const auto* b) { return a->name < b->name; });
    try {
      write_atomically(file_, format_index(all));
    } catch (const Error& e) {
      notes_.push_back(concat("goes without an index of the shards: ", e.what()));
    }
  }

 private:
  fs::path file_;
  std::vector<std::string>& notes_;
  std::map<std::string, IndexedShard> known_;
  std::vector<const IndexedShard*> asked_;
  bool changed_ = false;
};

}  // namespace

const TarMember* Sample::find(std::string_view suffix) const {
  const auto at = std::find_if(files.begin(), files.end(), [&](const File& f) { return f.suffix == suffix; });
  return at == files.end() ? nullptr : &at->member;
}

Samples group_samples(std::span<const TarMember> members, const std::string& file) {
  Samples out;
  for (const TarMember& m : members) {
    if (is_meta(m.name)) continue;
    auto [key, suffix] = split_name(m.name);
    if (key.empty()) {
      out.without_key.push_back(m.name);
      continue;
    }
    if (out.samples.empty() || out.samples.back().key != key) out.samples.push_back({std::move(key), {}});
    Sample& sample = out.samples.back();
    const TarMember* const other = sample.find(suffix);
    GMAIL_INPUT(other == nullptr, file, ": sample \"", sample.key, "\": \".", suffix, "\" at ", other->offset,
                " and again at ", m.offset);
    sample.files.push_back({std::move(suffix), m});
  }
  return out;
}

std::string format_index(const std::vector<const IndexedShard*>& shards) {
  std::string text(kMagic);
  const auto number = [&](auto n) { (text += std::to_string(n)) += ' '; };
  const auto string = [&](const std::string& s, char after) {
    number(s.size());
    (text += s) += after;
  };
  for (const IndexedShard* s : shards) {
    number(s->size), number(s->time), number(s->list.others), number(s->list.members.size());
    string(s->name, ' '), string(s->list.flaw, '\n');
    for (const TarMember& m : s->list.members) number(m.offset), number(m.size), string(m.name, '\n');
  }
  return text;
}

std::optional<std::vector<IndexedShard>> parse_index(std::string_view text) {
  if (!text.starts_with(kMagic)) return std::nullopt;
  IndexReader in(text.substr(kMagic.size()));
  std::vector<IndexedShard> shards;
  while (!in.done()) {
    IndexedShard s;
    s.size = in.number(), s.time = in.number(), s.list.others = in.number();
    const int64_t members = in.number();
    s.name = in.text(' '), s.list.flaw = in.text('\n');
    for (int64_t i = 0; in.good() && i < members; ++i) {
      TarMember m{"", in.number(), 0};
      m.size = in.number(), m.name = in.text('\n');
      if (m.offset < 0 || m.size < 0 || m.offset > s.size || m.size > s.size - m.offset || m.name.empty())
        return std::nullopt;
      s.list.members.push_back(std::move(m));
    }
    if (!in.good() || s.size < 0 || s.list.others < 0 || members < 0 || s.name.empty()) return std::nullopt;
    shards.push_back(std::move(s));
  }
  return shards;
}

ShardList list_shards(const std::vector<fs::path>& files) {
  ShardList out;
  std::map<fs::path, FolderIndex> folders;
  std::vector<IndexedShard> all(files.size());
  std::vector<size_t> unread;
  for (size_t i = 0; i < files.size(); ++i) {
    const fs::path folder = files[i].parent_path();
    FolderIndex& index = folders.try_emplace(folder, folder, out.notes).first->second;
    if (index.find(all[i], files[i]))
      ++out.from_index;
    else
      unread.push_back(i);
  }
  parallel_for(std::ssize(unread), 1, [&](int64_t begin, int64_t) {
    const size_t i = unread[static_cast<size_t>(begin)];
    const MappedFile file(files[i]);
    all[i].list = list_tar(file.bytes(), files[i].string());
  });
  for (const auto& [folder, index] : folders) index.write();
  for (size_t i = 0; i < files.size(); ++i) {
    out.shards.push_back({files[i], std::move(all[i].list)});
    const std::string& flaw = out.shards.back().list.flaw;
    if (!flaw.empty()) out.notes.push_back(files[i].string() + ": " + flaw);
  }
  return out;
}

}  // namespace gmail
