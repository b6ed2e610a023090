// Small models for tests.
#pragma once

#include "gmail/model_folder.h"
#include "models/clip.h"
#include "models/clipcap.h"
#include "models/unet.h"

namespace gmail::test {

[[nodiscard]] ClipConfig tiny_clip();        // 16 x 16 images, width 24
[[nodiscard]] UnetConfig tiny_unet();        // 8 x 8 images, 8 and 16 channels, text width 24
[[nodiscard]] ClipCapConfig tiny_clipcap();  // embeddings of 12, vocabulary of 30, end token 29

[[nodiscard]] ClipModel tiny_model();      // tiny_clip, frozen, with a vocabulary of the built-in world
[[nodiscard]] Unet random_unet();          // tiny_unet without its zero ends, so that every path counts
[[nodiscard]] ClipCap random_captioner();  // tiny_clipcap with matrices large enough to tell tokens apart

// token ids (B, T) with the end token at a different place in each row, zeros behind it
[[nodiscard]] TextInput tiny_text(int64_t rows, int64_t context, int64_t vocab);

// every parameter in double, for finite differences
void to_double(const ParamList& params);

// Trains with AdamW on `loss` for `steps` and returns the last loss.
double overfit(const ParamList& params, const std::function<Var(Tape&)>& loss, int64_t steps, double lr);

}  // namespace gmail::test
