#include "cli/eval_caption_clip.h"

#include "cli/encoders.h"
#include "core/check.h"
#include "data/image_folder.h"

namespace gmail::cli {
namespace {

// COCO's names of images, 2017's and 2014's, and the id itself
std::vector<std::string> usual_names(const std::string& id) {
  const std::string digits = std::string(id.size() < 12 ? 12 - id.size() : 0, '0') + id;
  return {digits + ".jpg", "COCO_val2014_" + digits + ".jpg", "COCO_train2014_" + digits + ".jpg",
          id + ".jpg", id + ".png"};
}

}  // namespace

void find_images(const std::string& folder, CaptionSet& set) {
  ImageFolder images(folder, folder);
  for (CaptionToScore& image : set.images) {
    const std::vector<std::string> names =
        image.image.empty() ? usual_names(image.id) : std::vector{image.image};
    for (const std::string& name : names)
      GMAIL_INPUT(stays_inside(name), "image ", image.id, ": expected the name of a file in ", folder,
                  ", found \"", name, "\"");
    const std::string found = images.first_of(names);
    GMAIL_INPUT(!found.empty(), "--images ", folder, ": no ", names.front(), " for image ", image.id);
    image.image = (std::filesystem::path(folder) / found).string();
  }
}

ClipScores score_with_clip(const Context& ctx, const std::string& model, const CaptionSet& set) {
  EncoderFlags flags;
  flags.model = model;
  Encoders encoders(ctx, flags);
  std::vector<std::string> files, captions, references;
  std::vector<int32_t> owner;
  for (const CaptionToScore& image : set.images) {
    files.push_back(image.image);
    captions.push_back(std::string(kClipScorePrefix) + image.caption);
    for (const std::string& r : image.references) {
      references.push_back(std::string(kClipScorePrefix) + r);
      owner.push_back(static_cast<int32_t>(files.size() - 1));
    }
  }
  const Tensor images = embed_files(ctx, encoders, files);
  return clip_scores(embed_texts(ctx, encoders.model(), captions), images,
                     embed_texts(ctx, encoders.model(), references),
                     Tensor::from(owner, {std::ssize(owner)}));
}

}  // namespace gmail::cli
