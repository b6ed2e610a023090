// The training steps of the method as an audit takes them (train/audit.h): the models and losses of the
// training commands on seeded random inputs. Every parameter gets N(0, 0.02) added to its initial value, for
// some start at zero (the B of LoRA, the last layer of a U-Net) and would let no gradient through.
#pragma once

#include "gmail/gen_clip_flow.h"
#include "models/clipcap.h"
#include "models/diffusion.h"
#include "models/unet.h"
#include "train/audit.h"

namespace gmail {

struct AuditSizes {
  int64_t batch = 8, tokens = 16;  // examples; longest text or caption
  uint64_t seed = 0;
};

// CLIP from scratch, both towers trained (gmail/pretrain.h). The first and last text are the same.
[[nodiscard]] AuditStep pretrain_audit(const ClipConfig& config, const AuditSizes& sizes);

struct AlignAudit {
  GenClipConfig gen;
  double tau = 0.07;
  bool symmetric = false;
};
// Stage A, eq. (1) of gmail/align.h: f_g with LoRA towards the frozen f_r.
[[nodiscard]] AuditStep align_audit(const ClipConfig& config, const AlignAudit& align,
                                    const AuditSizes& sizes);

// The generator's diffusion loss under the frozen text tower (gmail/generator.h).
[[nodiscard]] AuditStep generator_audit(const ClipConfig& text, const UnetConfig& unet,
                                        const DiffusionConfig& diffusion, const AuditSizes& sizes);

// ClipCap on image embeddings (gmail/downstream.h).
[[nodiscard]] AuditStep caption_audit(const ClipCapConfig& config, const AuditSizes& sizes);

}  // namespace gmail
