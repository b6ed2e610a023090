// The files of data/tokenizer.h.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "data/tokenizer.h"
#include "io/files.h"
#include "io/json.h"
#include "io/utf8.h"

namespace gmail {
namespace {

namespace fs = std::filesystem;

constexpr size_t kClipMerges = 48894;  // OpenAI's file holds more than its vocabulary takes
constexpr auto kClipFile = "bpe_simple_vocab_16e6.txt";

bool is_there(const fs::path& path) {
  std::error_code unreadable;  // said when it is read
  return fs::exists(path, unreadable);
}

// vocab alone: tokenizer.json; merges alone: OpenAI's CLIP
struct Files {
  fs::path vocab, merges;
};

Files find_files(const fs::path& folder, std::optional<TokenizerKind> expected) {
  const auto there = [&](const char* name) { return is_there(folder / name); };
  const bool clip_only = expected == TokenizerKind::clip, gpt2_only = expected == TokenizerKind::gpt2;
  for (const char* vocab : {"vocab.json", "encoder.json"})
    for (const char* merges : {"merges.txt", "vocab.bpe"}) {
      const bool gpt2_names =
          vocab == std::string_view("encoder.json") || merges == std::string_view("vocab.bpe");
      if (there(vocab) && there(merges) && !(clip_only && gpt2_names))
        return {folder / vocab, folder / merges};
    }
  if (there("tokenizer.json")) return {folder / "tokenizer.json", {}};
  const std::string packed = std::string(kClipFile) + ".gz";
  if (!gpt2_only && there(kClipFile)) return {{}, folder / kClipFile};
  if (!gpt2_only && there(packed.c_str())) return {{}, folder / packed};
  throw InputError(concat(folder.string(), ": expected vocab.json and merges.txt, ",
                          clip_only ? "" : "encoder.json and vocab.bpe, ", "tokenizer.json",
                          gpt2_only ? "" : concat(" or ", kClipFile), ", found ",
                          there("vocab.json") ? "vocab.json alone" : "none of them"));
}

// The files that belong to one of them.
Files find_beside(const fs::path& file) {
  const fs::path folder = file.parent_path(), name = file.filename();
  if (file.extension() == ".json") {
    for (const char* merges : {"merges.txt", "vocab.bpe"})
      if (is_there(folder / merges)) return {file, folder / merges};
    return {file, {}};
  }
  if (name == "merges.txt" || name == "vocab.bpe")
    for (const char* vocab : {"vocab.json", "encoder.json"})
      if (is_there(folder / vocab)) return {folder / vocab, file};
  return {{}, file};
}

std::string read_unpacked(const fs::path& file) {
  std::string text = read_text(file);
  GMAIL_INPUT(!text.starts_with("\x1F\x8B"), file.string(), ": is compressed: unpack it first (gunzip -k ",
              file.string(), ")");
  return text;
}

// "Sequence(NFC, Lowercase)": the names of the parts of a normalizer or pre-tokenizer.
std::string parts_of(const Json& part) {
  if (!part.is_object() || !part.contains("type") || !part["type"].is_string()) return describe(part);
  std::string names = part["type"].get<std::string>();
  for (const char* list : {"normalizers", "pretokenizers"})
    if (part.contains(list) && part[list].is_array()) {
      names += '(';
      for (const Json& inner : part[list]) names += (names.back() == '(' ? "" : ", ") + parts_of(inner);
      names += ')';
    }
  if (part.contains("pattern")) names += " of " + part["pattern"].dump();
  return replace_bad_utf8(names);
}

bool is_byte_level(const Json& part, bool splits) {
  return part.is_object() && part.value("type", Json()) == "ByteLevel" &&
         part.value("add_prefix_space", Json()) == false &&
         (!splits || part.value("use_regex", Json(true)) == true);
}

bool is_clip_normalizer(const Json& part) {
  const Json replace = {{"type", "Replace"}, {"pattern", {{"Regex", "\\s+"}}}, {"content", " "}};
  const Json steps = Json::array({{{"type", "NFC"}}, replace, {{"type", "Lowercase"}}});
  return part == Json{{"type", "Sequence"}, {"normalizers", steps}};
}

bool is_clip_split(const Json& part) {
  const std::string words = "'s|'t|'re|'ve|'m|'ll|'d|[\\p{L}]+|[\\p{N}]|[^\\s\\p{L}\\p{N}]+";
  const std::string special = "<\\|startoftext\\|>|<\\|endoftext\\|>|";
  for (const std::string& pattern : {words, special + words})
    if (part ==
        Json{{"type", "Split"}, {"pattern", {{"Regex", pattern}}}, {"behavior", "Removed"}, {"invert", true}})
      return true;
  return false;
}

bool is_clip_splitter(const Json& part) {
  if (!part.is_object() || part.value("type", Json()) != "Sequence") return false;
  const Json steps = part.value("pretokenizers", Json());
  return steps.is_array() && steps.size() == 2 && is_clip_split(steps[0]) && is_byte_level(steps[1], false);
}

// What tokenizer.json says of cleaning and splitting must be CLIP's or GPT-2's, for that is what we do.
TokenizerKind kind_of_fast(const Json& json, const std::string& file) {
  const Json splitter = json.value("pre_tokenizer", Json()), normalizer = json.value("normalizer", Json());
  const bool clip = is_clip_splitter(splitter);
  GMAIL_INPUT(
      clip || is_byte_level(splitter, true), file,
      ": field \"pre_tokenizer\": expected CLIP's, Sequence(Split, ByteLevel), or GPT-2's, ByteLevel without "
      "a blank put before, found ",
      parts_of(splitter));
  GMAIL_INPUT(clip ? is_clip_normalizer(normalizer) : normalizer.is_null(), file,
              ": field \"normalizer\": expected ",
              clip ? "CLIP's, Sequence(NFC, Replace, Lowercase)" : "null, as GPT-2 has it", ", found ",
              parts_of(normalizer));
  return clip ? TokenizerKind::clip : TokenizerKind::gpt2;
}

void check_fast_model(const Json& model, TokenizerKind kind, const std::string& file) {
  const auto expect = [&](const char* name, const Json& wanted, const Json& absent) {
    const Json found = model.value(name, absent);
    GMAIL_INPUT(found == wanted || found == absent, file, ": field \"model.", name, "\": expected ",
                describe(wanted), ", found ", describe(found));
  };
  expect("type", "BPE", "BPE");
  expect("dropout", nullptr, 0.0);
  expect("continuing_subword_prefix", "", nullptr);
  expect("byte_fallback", false, nullptr);
  expect("ignore_merges", false, nullptr);
  if (kind == TokenizerKind::clip)
    expect("end_of_word_suffix", "</w>", "</w>");
  else
    expect("end_of_word_suffix", "", nullptr);
  for (const auto& [name, good] :
       {std::pair("vocab", model.contains("vocab") && model["vocab"].is_object()),
        std::pair("merges", model.contains("merges") && model["merges"].is_array())})
    GMAIL_INPUT(good, file, ": field \"model.", name, "\": expected the ", name, ", found ",
                model.contains(name) ? describe(model[name]) : "nothing");
}

// "a b" or ["a", "b"]
Merge merge_of(const Json& json, size_t index, const std::string& file) {
  if (json.is_array() && json.size() == 2 && json[0].is_string() && json[1].is_string())
    return {json[0].get<std::string>(), json[1].get<std::string>()};
  const std::string text = json.is_string() ? json.get<std::string>() : "";
  const size_t blank = text.find(' ');
  GMAIL_INPUT(blank != std::string::npos && text.find(' ', blank + 1) == std::string::npos, file,
              ": field \"model.merges[", index, "]\": expected two tokens, found ", describe(json));
  return {text.substr(0, blank), text.substr(blank + 1)};
}

}  // namespace

std::vector<Merge> parse_merges(std::string_view text, const std::string& name) {
  std::vector<Merge> merges;
  for (int64_t line = 1; !text.empty(); ++line) {
    std::string_view row = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), row.size() + 1));
    if (row.ends_with('\r')) row.remove_suffix(1);
    if (row.empty() || (line == 1 && row.find("#version") != std::string_view::npos)) continue;
    const size_t blank = row.find(' ');
    const bool two = blank != std::string_view::npos && blank > 0 && blank + 1 < row.size() &&
                     row.find(' ', blank + 1) == std::string_view::npos;
    GMAIL_INPUT(two, name, ":", line, ": expected two tokens with a blank between them, found \"",
                replace_bad_utf8(row), "\"");
    merges.emplace_back(row.substr(0, blank), row.substr(blank + 1));
  }
  return merges;
}

void Tokenizer::add_vocab(const Json& table, const std::string& where) {
  GMAIL_INPUT(table.is_object(), where, ": expected an object of tokens and ids");
  tokens_.resize(table.size());
  for (const auto& [token, id] : table.items()) {
    const bool good = id.is_number_unsigned() && id.get<uint64_t>() < tokens_.size() &&
                      tokens_[id.get<size_t>()].empty() && !token.empty();
    GMAIL_INPUT(good, where, ": token \"", token, "\": expected an id of its own below ", tokens_.size(),
                ", found ", describe(id));
    tokens_[id.get<size_t>()] = token;
    ids_[token] = id.get<int32_t>();
  }
}

Tokenizer Tokenizer::from_pair(const fs::path& vocab, const Json& table, const fs::path& merges) {
  const bool clip = table.is_object() && table.contains("!</w>");
  Tokenizer t(clip ? TokenizerKind::clip : TokenizerKind::gpt2);
  t.add_vocab(table, vocab.string());
  for (const Merge& m : parse_merges(read_unpacked(merges), merges.string())) t.add_merge(m, merges.string());
  t.finish(vocab.string());
  return t;
}

Tokenizer Tokenizer::from_merges(const fs::path& file) {
  std::vector<Merge> merges = parse_merges(read_unpacked(file), file.string());
  GMAIL_INPUT(!merges.empty(), file.string(), ": no merges");
  const bool clip =
      std::any_of(merges.begin(), merges.end(), [](const Merge& m) { return m.second.ends_with("</w>"); });
  if (clip && merges.size() > kClipMerges) merges.resize(kClipMerges);
  try {
    return Tokenizer(merges, clip ? TokenizerKind::clip : TokenizerKind::gpt2);
  } catch (const InputError& e) {
    throw InputError(concat(file.string(), ": ", e.what()));
  }
}

Tokenizer Tokenizer::from_fast(const Json& json, const std::string& file) {
  Tokenizer t(kind_of_fast(json, file));
  const Json& model = json["model"];
  check_fast_model(model, t.kind_, file);
  t.add_vocab(model["vocab"], file);
  std::vector<int32_t> special;
  for (const Json& added : json.value("added_tokens", Json::array())) {
    const Json content = added.is_object() ? added.value("content", Json()) : Json();
    const bool good = content.is_string() && !content.get_ref<const std::string&>().empty();
    GMAIL_INPUT(good, file, ": field \"added_tokens\": expected objects with \"content\", found ",
                describe(added));
    const int32_t id = t.add_token(content.get<std::string>());
    GMAIL_INPUT(added.value("id", Json()) == id, file, ": added token ", describe(content),
                ": expected the id ", id, ", found ", describe(added.value("id", Json())));
    GMAIL_INPUT(added.value("special", Json()) == true, file, ": added token ", describe(content),
                ": expected only special ones, which no text holds, found ",
                describe(added.value("special", Json())));
    special.push_back(id);
  }
  for (size_t i = 0; i < model["merges"].size(); ++i)
    t.add_merge(merge_of(model["merges"][i], i, file), file);
  t.finish(file);
  for (const int32_t id : special)  // "!" is padding in some files, and yet a text's
    if (std::find(t.byte_ids_.begin(), t.byte_ids_.end(), id) == t.byte_ids_.end())
      t.text_[static_cast<size_t>(id)].clear();
  return t;
}

Tokenizer Tokenizer::load(const fs::path& path, std::optional<TokenizerKind> expected) {
  std::error_code unreadable;  // said when it is read
  const Files files = fs::is_directory(path, unreadable) ? find_files(path, expected) : find_beside(path);
  const fs::path& named = files.vocab.empty() ? files.merges : files.vocab;
  Tokenizer t = [&] {
    if (files.vocab.empty()) return from_merges(files.merges);
    const Json json = parse_json(read_unpacked(files.vocab), files.vocab.string());
    if (json.is_object() && json.contains("model") && json["model"].is_object())
      return from_fast(json, files.vocab.string());
    GMAIL_INPUT(!files.merges.empty(), files.vocab.string(), ": no merges.txt or vocab.bpe beside it");
    return from_pair(files.vocab, json, files.merges);
  }();
  GMAIL_INPUT(!expected || t.kind() == *expected, named.string(), ": expected ", name_of(*expected),
              "'s vocabulary, found ", name_of(t.kind()), "'s");
  return t;
}

void Tokenizer::save(const fs::path& folder) const {
  make_dirs(folder);
  nlohmann::ordered_json vocab = nlohmann::ordered_json::object();
  auto& entries = vocab.get_ref<nlohmann::ordered_json::object_t&>();  // push_back: no search for a duplicate
  for (size_t i = 0; i < tokens_.size(); ++i) entries.push_back({tokens_[i], i});
  std::string merges = "#version: 0.2\n";
  for (const auto& [a, b] : rules_.pairs())
    merges += tokens_[static_cast<size_t>(a)] + ' ' + tokens_[static_cast<size_t>(b)] + '\n';
  write_atomically(folder / "vocab.json", vocab.dump() + "\n");
  write_atomically(folder / "merges.txt", merges);
}

}  // namespace gmail
