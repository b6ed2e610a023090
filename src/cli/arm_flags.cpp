#include "cli/arm_flags.h"

#include <charconv>
#include <iostream>
#include <unordered_set>

#include "cli/encoders.h"
#include "core/rng.h"

namespace gmail::cli {
namespace {

// f_r read through an adapter that changes nothing: for the arms that need none
GenClip adapter_of(const ArmFlags& f, Arm arm, ClipModel& base) {
  if (!f.adapter.empty()) return GenClip::load(f.adapter, base.clip);
  GMAIL_INPUT(arm != Arm::gmail, "--adapter is required for arm gmail: f_g is in its folder");
  return GenClip::start(base.clip.image, {}, false, 0);
}

// -2: all captions, -1: one at random, 0 ..: that one
int64_t caption_choice(const std::string& text) {
  if (text == "all") return -2;
  if (text == "random") return -1;
  int64_t index = -1;
  const char* end = text.data() + text.size();
  GMAIL_INPUT(std::from_chars(text.data(), end, index).ptr == end && index >= 0,
              "--caption: expected all, random or an index from 0, found \"", text, "\"");
  return index;
}

// Arm real without generated records: the real images themselves.
EmbeddedPairs real_data(const Command& c, const ArmFlags& f, ClipModel& base, GenClip& adapter,
                        const Manifest& real) {
  const int64_t choice = caption_choice(f.caption);
  const ImageFeatures all = image_features(c.ctx(), real_encoder(base.clip.image, &adapter), real,
                                           base.preprocess, {.cache = f.features});
  if (!all.damage.empty()) std::cerr << all.damage << '\n';
  std::vector<int64_t> rows;
  EmbeddedPairs data;
  for (int64_t i = 0; i < real.size(); ++i) {
    if (all.usable[static_cast<size_t>(i)] == 0) continue;
    const auto& captions = real[i].captions;
    const auto n = std::ssize(captions);
    GMAIL_INPUT(choice < n, real.file.string(), ": record \"", real[i].id, "\": no caption ", choice,
                ", it has ", n);
    Rng rng(c.common().seed, Purpose::caption_choice, 0, static_cast<uint64_t>(i));
    const int64_t first = choice == -1 ? rng.below(n) : std::max<int64_t>(choice, 0);
    for (int64_t k = first; k < (choice == -2 ? n : first + 1); ++k) {
      rows.push_back(i);
      data.captions.push_back(captions[static_cast<size_t>(k)]);
    }
  }
  data.embeddings = take_rows(all.z, rows);
  return data;
}

Manifest without(Manifest manifest, const std::function<bool(const Record&)>& drop) {
  std::erase_if(manifest.records, drop);
  return manifest;
}

}  // namespace

void add_arm_flags(Command& c, ArmFlags& f) {
  c.option("model", f.model, "CLIP folder: f_r")->required();
  c.option("manifest", f.manifest,
           "generated records (and the real ones, unless --real), or real records alone")
      ->required();
  c.option("real", f.real, "manifest of the real records that the generated ones name");
  c.option("adapter", f.adapter, "folder of the aligned adapter: f_g");
  c.option("arm", f.arm, "real: f_r(x_r) | generated: f_r(x_g) | mixed: either | gmail: f_g(x_g)")
      ->one_of({"real", "generated", "mixed", "gmail"});
  c.option("split", f.split, "only records of this split");
  c.option("caption", f.caption, "all | random | INDEX: captions of an image, where nothing is generated");
  add_features(c, f.features);
}

EmbeddedPairs load_arm_data(const Command& c, const ArmFlags& f, ClipModel& base) {
  const Arm arm = arm_of(f.arm);
  GenClip adapter = adapter_of(f, arm, base);
  const Manifest all = read_manifest(f.manifest);
  const auto other_split = [&](const Record& r) { return !f.split.empty() && r.split != f.split; };
  const Manifest generated =
      without(all, [&](const Record& r) { return !r.source.generated || other_split(r); });
  if (generated.size() == 0) {
    GMAIL_INPUT(arm == Arm::real, f.manifest, ": arm ", f.arm, " needs generated records, found none",
                f.split.empty() ? "" : " of split \"" + f.split + "\"");
    const Manifest real = without(all, [&](const Record& r) { return r.source.generated || other_split(r); });
    GMAIL_INPUT(real.size() > 0, f.manifest, ": no record",
                f.split.empty() ? "" : " of split \"" + f.split + "\"");
    return real_data(c, f, base, adapter, real);
  }
  GMAIL_INPUT(f.caption == "all", "--caption: generated records have their caption already");
  std::unordered_set<std::string> named;  // only the real images that a pair needs are decoded
  for (const Record& r : generated.records) named.insert(r.source.pair);
  const Manifest real = without(f.real.empty() ? all : read_manifest(f.real),
                                [&](const Record& r) { return r.source.generated || !named.contains(r.id); });
  return arm_data(c.ctx(), arm, base, adapter, generated, real, c.common().seed, {.cache = f.features});
}

}  // namespace gmail::cli
