#include "gmail/clip_flow.h"

#include <cstring>
#include <numeric>

namespace gmail {

namespace {

ImageEncoder tower_encoder(const std::string& name, ImageTower& tower) {
  ImageEncoder e{name, {}, {}, [&tower](Tape& tape, const Var& x) { return tower.encode(tape, x); }};
  tower.collect(e.params);
  if (!tower.layers.empty()) {
    const Block& block = tower.layers.front();
    e.settings = concat(block.self_attn.heads, " ", name_of(block.mlp.act), " ", block.layer_norm1.eps);
  }
  tower.each_linear([&](Linear& l) {
    if (l.lora) e.settings += concat(" ", l.lora->scale);
  });
  return e;
}

}  // namespace

ImageEncoder real_encoder(ImageTower& f_r, GenClip* adapter) {
  if (adapter == nullptr || !adapter->projection_real) return tower_encoder("f_r", f_r);
  ImageEncoder e = tower_encoder("f_r", adapter->f_g);  // the shared trunk and "Proj for Real"
  adapter->projection_real->collect(e.params);
  e.encode = [&f_r, adapter](Tape& tape, const Var& x_r) { return adapter->encode_real(tape, f_r, x_r); };
  return e;
}

ImageEncoder generated_encoder(GenClip& adapter) { return tower_encoder("f_g", adapter.f_g); }

Tensor embed_images(const Context& ctx, const ImageEncoder& encode, const ImageStore& store,
                    std::span<const int64_t> index, const Normalisation& norm, int64_t batch) {
  const auto n = static_cast<int64_t>(index.size());
  GMAIL_CHECK(n > 0, "[embed] no images");
  Tensor out;
  for (int64_t begin = 0; begin < n; begin += batch) {
    const int64_t end = std::min(n, begin + batch);
    Tape tape(ctx, false);
    const auto rows = index.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin));
    const Tensor images = load_images(store, rows, norm);
    const Tensor z = encode(tape, Var(images)).value;
    if (!out) out = Tensor::empty({n, z.size(1)});
    out.rows(begin, end).copy_from(z);
  }
  return out;
}

Tensor embed_all_images(const Context& ctx, const ImageEncoder& encode, const ImageStore& store,
                        const Normalisation& norm) {
  std::vector<int64_t> index(static_cast<size_t>(store.count()));
  std::iota(index.begin(), index.end(), 0);
  return embed_images(ctx, encode, store, index, norm);
}

Tensor embed_texts(const Context& ctx, ClipModel& model, std::span<const std::string> texts, int64_t batch) {
  const auto n = static_cast<int64_t>(texts.size());
  Tensor out = Tensor::empty({n, model.clip.config.projection_dim});
  for (int64_t begin = 0; begin < n; begin += batch) {
    const int64_t end = std::min(n, begin + batch);
    Tape tape(ctx, false);
    const TextInput input =
        model.tokens(texts.subspan(static_cast<size_t>(begin), static_cast<size_t>(end - begin)));
    out.rows(begin, end).copy_from(model.clip.text.encode(tape, input).value);
  }
  return out;
}

Tensor take_rows(const Tensor& x, std::span<const int64_t> index) {
  Tensor out = Tensor::empty(x.shape().with(0, static_cast<int64_t>(index.size())), x.dtype());
  const size_t row = x.bytes() / static_cast<size_t>(x.size(0));
  for (size_t i = 0; i < index.size(); ++i) {
    GMAIL_CHECK(index[i] >= 0 && index[i] < x.size(0), "[take_rows] row ", index[i], " of ", x.shape());
    std::memcpy(out.raw() + i * row, x.raw() + static_cast<size_t>(index[i]) * row, row);
  }
  return out;
}

}  // namespace gmail
