// attention.h by cuDNN, in bfloat16. Its patterns know causal masks; every other mask goes to it as a bias of
// 0 or kUnseen, written here. A row that sees no key comes out as a mean of all, so it is put right
// afterwards.
#include "core/cuda_options.h"
#include "dnn_graphs.h"
#include "dnn_ops.h"
#include "rows.cuh"
#include "temporary.h"

namespace gmail::cuda::dnn {
namespace {

constexpr int kThreads = 256;
constexpr float kUnseen = -1e30F;  // exp(kUnseen - l) = 0, and no infinity that could meet another
constexpr float kMinusInfinity = -__builtin_huge_valf();

struct Seen {
  DeviceSpan<const int32_t> keys;  // (B, Tk), absent: all
  bool causal;
  int64_t Tq, Tk;
  __device__ bool operator()(int64_t b, int64_t i, int64_t j) const {
    return (!causal || j <= i + Tk - Tq) && (!keys || keys[b * Tk + j] != 0);
  }
};

// bias (B, Tq, row): 0 where query i sees key j
__global__ void bias_kernel(DeviceSpan<bf16> bias, Seen seen, int64_t row, int64_t n) {
  const int64_t at = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (at >= n) return;
  const int64_t j = at % row, i = at / row % seen.Tq, b = at / row / seen.Tq;
  bias[at] = store<bf16>(j < seen.Tk && seen(b, i, j) ? 0.0F : kUnseen);
}

// o = 0 and l = -inf in the rows (b, i) that see nothing; a warp a row
__global__ void clear_unseen(DeviceSpan<bf16> o, DeviceSpan<float> l, Seen seen, AttentionSizes s) {
  if (row() >= s.B * s.Tq) return;
  const int64_t b = row() / s.Tq, i = row() % s.Tq;
  float any = 0;
  for (int64_t j = lane(); j < s.Tk; j += kWarp) any += seen(b, i, j) ? 1 : 0;
  if (warp_reduce<Sum>(any) > 0) return;
  for (int64_t c = lane(); c < s.C; c += kWarp) o[row() * s.C + c] = store<bf16>(0);
  for (int64_t h = lane(); h < s.heads; h += kWarp) l[(b * s.heads + h) * s.Tq + i] = kMinusInfinity;
}

// l with 0 in place of -inf: exp(kUnseen - l) is then 0 in such a row too
__global__ void finite_kernel(DeviceSpan<float> to, DeviceSpan<const float> l, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) to[i] = l[i] == kMinusInfinity ? 0.0F : l[i];
}

bool asked_for() { return cuda_options().attention == AttentionEngine::cudnn; }

Attention attention_of(const AttentionSizes& s, const AttentionMask& mask) {
  const std::string why = why_no_cudnn();
  GMAIL_CHECK(why.empty(), "[attention] cuDNN was asked for: ", why);
  const Sees sees = mask.keys      ? Sees::bias
                    : !mask.causal ? Sees::all
                    : s.Tq == s.Tk ? Sees::causal
                                   : Sees::bias;
  return {s.B, s.heads, s.Tq, s.Tk, s.D, sees};
}

Seen seen_by(const AttentionSizes& s, const AttentionMask& mask) {
  return {span<int32_t>(mask.keys), mask.causal, s.Tq, s.Tk};
}

// What the graphs ask of the tensors; "" if it is so.
std::string refuse(const Attention& a, const std::vector<Tensor>& tensors) {
  if (tensors[0].dtype() != DType::bfloat16) return "cuDNN's attention is for bfloat16";
  if (a.D % 8 != 0 || a.D > 256) return "cuDNN's attention takes heads of 8, 16, .. 256 channels";
  if (a.B * a.heads * a.Tq * a.Tk == 0) return "there is nothing to do";
  for (const Tensor& t : tensors)
    if (!aligned(t)) return "a tensor is not aligned to 16 bytes";
  return "";
}

Tensor bias_of(const Attention& a, const Seen& seen, Stream stream) {
  Tensor bias = temporary({a.B, a.Tq, bias_row(a.Tk)}, DType::bfloat16, stream);
  launch(stream, bias_kernel, blocks_for(bias.numel(), kThreads), kThreads, 0, span<bf16>(bias), seen,
         bias_row(a.Tk), bias.numel());
  return bias;
}

}  // namespace

bool attention_forward(Tensor& o, Tensor& l, const Tensor& q, const Tensor& k, const Tensor& v,
                       const AttentionSizes& s, const AttentionMask& mask, Stream stream) {
  if (!asked_for()) return false;
  const Attention a = attention_of(s, mask);
  std::string why = refuse(a, {q, k, v, o, l});
  if (!why.empty()) return fell_back(a.key("forward"), why);
  const Prepared made = prepare(a.key("forward"), [&] { return forward(a); });
  if (!made) return fell_back(a.key("forward"), made.why_not);
  if (a.sees != Sees::bias) {
    run(made, {q, k, v, o, l}, stream);
    return true;
  }
  const Seen seen = seen_by(s, mask);
  run(made, {q, k, v, bias_of(a, seen, stream), o, l}, stream);
  launch_rows(stream, clear_unseen, s.B * s.Tq, span<bf16>(o), span<float>(l), seen, s);
  return true;
}

bool attention_backward(Grad dq, Grad dk, Grad dv, const Tensor& d_o, const Tensor& o, const Tensor& l,
                        const Tensor& q, const Tensor& k, const Tensor& v, const AttentionSizes& s,
                        const AttentionMask& mask, Stream stream) {
  if (!asked_for()) return false;
  const Attention a = attention_of(s, mask);
  std::string why = refuse(a, {q, k, v, o, l, d_o});
  if (!why.empty()) return fell_back(a.key("backward"), why);
  const Prepared made = prepare(a.key("backward"), [&] { return backward(a); });
  if (!made) return fell_back(a.key("backward"), made.why_not);
  const Tensor to_q = target(dq, q.shape(), q.dtype(), stream),
               to_k = target(dk, k.shape(), k.dtype(), stream),
               to_v = target(dv, v.shape(), v.dtype(), stream),
               delta = temporary(l.shape(), DType::float32, stream);
  std::vector<Tensor> given{q, k, v, o, l, d_o, to_q, to_k, to_v, delta};
  if (a.sees == Sees::bias) {
    Tensor finite = temporary(l.shape(), DType::float32, stream);
    launch(stream, finite_kernel, blocks_for(l.numel(), kThreads), kThreads, 0, span<float>(finite),
           span<float>(l), l.numel());
    given[4] = finite;
    given.insert(given.begin() + 3, bias_of(a, seen_by(s, mask), stream));
  }
  run(made, given, stream);
  add(dq, to_q, stream);
  add(dk, to_k, stream);
  add(dv, to_v, stream);
  return true;
}

}  // namespace gmail::cuda::dnn
