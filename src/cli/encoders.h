// What the commands that look at images share: a CLIP, perhaps an adapter, and the encoder that images go
// through.
#pragma once

#include "cli/program.h"
#include "data/manifest.h"
#include "gmail/clip_flow.h"

namespace gmail::cli {

struct EncoderFlags {
  std::string model, adapter;
  bool generated = false;
  int64_t image_size = 0;  // 0: the model's own
};
// --model (required, or not), --adapter, --generated, --image-size
void add_encoder_flags(Command& command, EncoderFlags& flags, bool need_model = true);
void add_image_size(Command& command, int64_t& image_size);

class Encoders {
 public:
  // Loads. generated: images go through the adapter's f_g; otherwise through f_r, or the adapter's reading of
  // it.
  Encoders(const Context& ctx, const EncoderFlags& flags);
  Encoders(const Encoders&) = delete;
  Encoders& operator=(const Encoders&) = delete;

  [[nodiscard]] ClipModel& model() { return model_; }
  [[nodiscard]] GenClip* adapter() { return adapter_ ? &*adapter_ : nullptr; }
  [[nodiscard]] ImageEncoder image();

 private:
  ClipModel model_;
  std::optional<GenClip> adapter_;
  bool generated_;
};

// Embeddings (n, E) of the files, in their order. InputError for the first that cannot be read.
[[nodiscard]] Tensor embed_files(const Context& ctx, Encoders& encoders,
                                 const std::vector<std::string>& files);

struct EmbeddedRecords {
  Manifest manifest;  // the records whose image could be read
  Tensor images;      // (N, E), a row for each
};
// Damaged images (a few) are left out and named on the error stream. features: a folder, see
// gmail/features.h, or "".
[[nodiscard]] EmbeddedRecords embed_records(const Context& ctx, Encoders& encoders, const Manifest& manifest,
                                            const std::string& features = "");
void add_features(Command& command, std::string& features);  // --features

// Every caption of every record: the texts, and which record each belongs to, (M) int32.
struct RecordTexts {
  std::vector<std::string> texts;
  Tensor image;
};
[[nodiscard]] RecordTexts texts_of(const Manifest& manifest);

// The records of a split, or all for ""; InputError if there are none.
[[nodiscard]] Manifest read_split(const std::string& file, const std::string& split);

}  // namespace gmail::cli
