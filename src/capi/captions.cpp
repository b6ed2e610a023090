// gmail.h: captions for image embeddings.
#include <memory>

#include "capi/call.h"
#include "gmail/downstream.h"

using namespace gmail;
using namespace gmail::capi;

struct gmail_captioner {
  static constexpr Kind kKind = Kind::captioner;
  const Kind kind = kKind;
  const std::unique_ptr<Captioner> loaded;
  explicit gmail_captioner(std::unique_ptr<Captioner> l) : loaded(std::move(l)) {}
};

struct gmail_captions {
  static constexpr Kind kKind = Kind::captions;
  const Kind kind = kKind;
  const std::vector<std::string> texts;
  explicit gmail_captions(std::vector<std::string> t) : texts(std::move(t)) {}
};

namespace {

DecodeOptions decode_options(const ClipCapConfig& config, const gmail_caption_options* given) {
  const gmail_caption_options o = given != nullptr ? *given : gmail_caption_options{};
  const int64_t room = config.gpt.n_positions - config.prefix_length;
  DecodeOptions out;
  if (config.released) out.rule = DecodeRule::clipcap;
  if (o.beams != 0) out.beams = o.beams;
  out.min_length = o.min_length;
  out.max_length = o.max_length != 0 ? o.max_length : default_max_length(out.rule, room);
  require(out.beams >= 1 && out.beams <= kMostBeams, "options.beams: expected 1 .. ", kMostBeams, ", found ",
          out.beams);
  require(out.max_length >= 1 && out.max_length <= room, "options.max_length: expected 1 .. ", room,
          " for this captioner, found ", out.max_length);
  require(out.min_length >= 0 && out.min_length <= out.max_length, "options.min_length: expected 0 .. ",
          out.max_length, ", found ", out.min_length);
  return out;
}

}  // namespace

gmail_status gmail_captioner_open(const char* folder, gmail_captioner** captioner) {
  if (captioner != nullptr) *captioner = nullptr;
  return guarded("gmail_captioner_open", [&] {
    require(folder != nullptr, "folder is null");
    require(captioner != nullptr, "captioner is null");
    auto loaded = std::make_unique<Captioner>(Captioner::load(folder));
    *captioner = std::make_unique<gmail_captioner>(std::move(loaded)).release();
  });
}

gmail_status gmail_captioner_close(gmail_captioner* captioner) {
  return guarded("gmail_captioner_close", [&] {
    const std::unique_ptr<gmail_captioner> owner(captioner == nullptr ? nullptr
                                                                      : &checked(captioner, "captioner"));
  });
}

gmail_status gmail_caption(const gmail_captioner* captioner, const float* embeddings, size_t n, size_t width,
                           const gmail_caption_options* options, gmail_captions** captions) {
  if (captions != nullptr) *captions = nullptr;
  return guarded("gmail_caption", [&] {
    Captioner& loaded = *checked(captioner, "captioner").loaded;
    require(captions != nullptr, "captions is null");
    check_array(embeddings, n, "embeddings");
    const ClipCapConfig& config = loaded.model.config;
    require(static_cast<int64_t>(width) == config.clip_dim, "width: the captioner was trained on ",
            config.clip_dim, " numbers, found ", width);
    const DecodeOptions how = decode_options(config, options);
    std::vector<std::string> texts;
    if (n > 0) {
      const Tensor rows = Tensor::from(std::span(embeddings, elements(n, width, "embeddings")),
                                       {static_cast<int64_t>(n), static_cast<int64_t>(width)});
      require(rows.all_finite(), "embeddings: a number is not finite");
      texts = loaded.caption(Context(), rows, how);
    }
    *captions = std::make_unique<gmail_captions>(std::move(texts)).release();
  });
}

size_t gmail_captions_count(const gmail_captions* captions) {
  size_t n = 0;
  (void)guarded("gmail_captions_count", [&] { n = checked(captions, "captions").texts.size(); });
  return n;
}

const char* gmail_captions_text(const gmail_captions* captions, size_t i) {
  const char* text = nullptr;
  (void)guarded("gmail_captions_text", [&] {
    const auto& texts = checked(captions, "captions").texts;
    require(i < texts.size(), "caption ", i, " of ", texts.size());
    text = texts[i].c_str();
  });
  return text;
}

gmail_status gmail_captions_free(gmail_captions* captions) {
  return guarded("gmail_captions_free", [&] {
    const std::unique_ptr<gmail_captions> owner(captions == nullptr ? nullptr
                                                                    : &checked(captions, "captions"));
  });
}
