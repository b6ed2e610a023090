#include "eval/scores.h"

#include <algorithm>
#include <cmath>

#include "core/parallel_for.h"
#include "ops/gemm.h"

namespace gmail {
namespace {

constexpr int64_t kLanes = 8;     // floats in a vector
constexpr int64_t kTile = 4;      // rows of either side in one tile: 16 sums stay in registers
constexpr int64_t kQueries = 16;  // queries of one chunk of work
// A block of the fast product: its scores stay in the second-level cache while they are looked at.
constexpr int64_t kBlockRows = 256, kBlockColumns = 512;
static_assert(UnitRows::kRowPad > cpu::kGemmSmall, "so few rows would be summed in another order");
static_assert(UnitRows::kRowPad % kTile == 0 && kBlockColumns % UnitRows::kRowPad == 0);

using Lanes = float __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));

[[nodiscard]] int64_t round_up(int64_t n, int64_t step) { return (n + step - 1) / step * step; }

// scores of kTile queries against kTile gallery rows. Every sum runs over its own lanes in the same order.
void score_tile(float* scores, int64_t scores_stride, const float* queries, const float* gallery,
                int64_t stride) {
  Lanes sum[kTile][kTile] = {};
  for (int64_t e = 0; e < stride; e += kLanes) {
    Lanes g[kTile];
    for (int64_t j = 0; j < kTile; ++j) g[j] = *reinterpret_cast<const Lanes*>(gallery + j * stride + e);
    for (int64_t i = 0; i < kTile; ++i) {
      const Lanes q = *reinterpret_cast<const Lanes*>(queries + i * stride + e);
      for (int64_t j = 0; j < kTile; ++j) sum[i][j] += q * g[j];
    }
  }
  for (int64_t i = 0; i < kTile; ++i)
    for (int64_t j = 0; j < kTile; ++j) {
      const Lanes& s = sum[i][j];
      scores[i * scores_stride + j] = ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
    }
}

void check_widths(const UnitRows& queries, const UnitRows& gallery) {
  GMAIL_INPUT(queries.width() == gallery.width(), "embeddings of different width: ", queries.width(), " and ",
              gallery.width());
}

}  // namespace

UnitRows::UnitRows(const Tensor& embeds, std::string_view name) {
  GMAIL_INPUT(embeds.defined() && embeds.rank() == 2 && embeds.dtype() == DType::float32, name,
              " must be a float32 matrix (rows, width), got ", name_of(embeds.dtype()), " ", embeds.shape());
  rows_ = embeds.size(0);
  width_ = embeds.size(1);
  GMAIL_INPUT(rows_ > 0 && width_ > 0, name, " ", embeds.shape(), " has no elements");
  stride_ = round_up(width_, kLanes);
  values_.assign(static_cast<size_t>(round_up(rows_, kRowPad) * stride_), 0.0F);
  const float* source = embeds.data<float>();
  parallel_for(rows_, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float* x = source + i * width_;
      double square = 0;
      for (int64_t e = 0; e < width_; ++e) square += static_cast<double>(x[e]) * static_cast<double>(x[e]);
      GMAIL_INPUT(std::isfinite(square), name, " row ", i, " is not finite");
      GMAIL_INPUT(square > 0, name, " row ", i, " has length 0: its direction is undefined");
      const double length = std::sqrt(square);
      for (int64_t e = 0; e < width_; ++e)
        values_[static_cast<size_t>(i * stride_ + e)] =
            static_cast<float>(static_cast<double>(x[e]) / length);
    }
  });
}

void for_each_score_block(const UnitRows& queries, const UnitRows& gallery,
                          const std::function<void(const ScoreBlock&)>& body) {
  check_widths(queries, gallery);
  const int64_t k = queries.width(), stride = gallery.stride();
  const int64_t panels = (gallery.rows() + kBlockColumns - 1) / kBlockColumns;
  const int64_t panel_size = cpu::packed_size<float>(k, kBlockColumns);
  std::vector<float> packed(static_cast<size_t>(panels * panel_size));
  const auto columns_of = [&](int64_t p) {
    return std::min(kBlockColumns, gallery.rows() - p * kBlockColumns);
  };
  parallel_for(panels, 1, [&](int64_t p, int64_t) {
    cpu::pack_b(packed.data() + p * panel_size, gallery.row(p * kBlockColumns), stride, true, k,
                round_up(columns_of(p), UnitRows::kRowPad));
  });
  parallel_for(queries.rows(), kBlockRows, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(kBlockRows * kBlockColumns));
    for (int64_t p = 0; p < panels; ++p) {
      cpu::Gemm<float> g;
      g.m = round_up(end - begin, UnitRows::kRowPad), g.n = round_up(columns_of(p), UnitRows::kRowPad),
      g.k = k;
      g.a = queries.row(begin), g.lda = queries.stride();
      g.b = gallery.row(p * kBlockColumns), g.ldb = stride, g.trans_b = true;
      g.packed_b = packed.data() + p * panel_size;
      g.c = scores.data(), g.ldc = kBlockColumns;
      cpu::gemm(g);
      body({begin, end - begin, p * kBlockColumns, columns_of(p), scores.data(), kBlockColumns});
    }
  });
}

std::vector<float> paired_scores(const UnitRows& queries, const UnitRows& gallery,
                                 std::span<const int32_t> partner) {
  check_widths(queries, gallery);
  constexpr int64_t n = UnitRows::kRowPad;  // the diagonal of small products
  const int64_t stride = gallery.stride();
  std::vector<float> out(partner.size());
  parallel_for(std::ssize(partner), n, [&](int64_t begin, int64_t end) {
    std::vector<float> partners(static_cast<size_t>(n * stride)), scores(static_cast<size_t>(n * n));
    for (int64_t q = begin; q < end; ++q)
      std::copy_n(gallery.row(partner[static_cast<size_t>(q)]), stride,
                  partners.data() + (q - begin) * stride);
    cpu::Gemm<float> g;
    g.m = n, g.n = n, g.k = queries.width();
    g.a = queries.row(begin), g.lda = queries.stride();
    g.b = partners.data(), g.ldb = stride, g.trans_b = true;
    g.c = scores.data(), g.ldc = n;
    cpu::gemm(g);
    for (int64_t q = begin; q < end; ++q)
      out[static_cast<size_t>(q)] = scores[static_cast<size_t>((q - begin) * (n + 1))];
  });
  return out;
}

void for_each_score_row(const UnitRows& queries, const UnitRows& gallery,
                        const std::function<void(int64_t, std::span<const float>)>& body) {
  check_widths(queries, gallery);
  const int64_t padded = round_up(gallery.rows(), kTile);
  parallel_for(queries.rows(), kQueries, [&](int64_t begin, int64_t end) {
    std::vector<float> scores(static_cast<size_t>(kQueries * padded));
    for (int64_t g = 0; g < padded; g += kTile)
      for (int64_t q = begin; q < end; q += kTile)
        score_tile(scores.data() + (q - begin) * padded + g, padded, queries.row(q), gallery.row(g),
                   queries.stride());
    for (int64_t q = begin; q < end; ++q)
      body(q, std::span<const float>(scores).subspan(static_cast<size_t>((q - begin) * padded),
                                                     static_cast<size_t>(gallery.rows())));
  });
}

}  // namespace gmail
