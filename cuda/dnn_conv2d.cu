// conv2d.h by cuDNN. Its fast engines read the weights as (O, kh, kw, I), so they are rearranged, and the
// gradient is rearranged back; the copy of a constant weight is kept with it.
#include "core/cuda_options.h"
#include "core/kept_copy.h"
#include "dnn_graphs.h"
#include "dnn_ops.h"
#include "temporary.h"

namespace gmail::cuda::dnn {
namespace {

constexpr int kThreads = 256;

// to (O, taps, I) = from (O, I, taps)
template <class To, class From>
__global__ void channels_last(DeviceSpan<To> to, DeviceSpan<const From> from, int64_t I, int64_t taps,
                              int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) to[i] = store<To>(load(from[(i / (taps * I) * I + i % I) * taps + i / I % taps]));
}

// to (O, I, taps) = from (O, taps, I), over what is there or added to it
template <class To, class From>
__global__ void channels_first(GradSpan<To> to, DeviceSpan<const From> from, int64_t I, int64_t taps,
                               int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) to.put(i, load(from[(i / (taps * I) * taps + i % taps) * I + i / taps % I]));
}

template <class T>
__global__ void add_bias(DeviceSpan<T> y, DeviceSpan<const float> b, int64_t O, int64_t n) {
  const int64_t i = int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (i < n) y[i] = store<T>(load(y[i]) + b[i % O]);
}

void rearrange(Tensor& to, const Tensor& w, Stream stream) {
  with_device_type(to.dtype(), [&](auto t) {
    with_device_type(w.dtype(), [&](auto f) {
      using To = decltype(t);
      using From = decltype(f);
      launch(stream, channels_last<To, From>, blocks_for(w.numel(), kThreads), kThreads, 0, span<To>(to),
             span<From>(w), w.size(1), w.size(2) * w.size(3), w.numel());
    });
  });
}

// (O, kh, kw, I) in the type of the activations; of a constant weight a copy that is kept
Tensor weights(const Tensor& w, DType type, Stream stream) {
  const Shape shape{w.size(0), w.size(2), w.size(3), w.size(1)};
  const Tensor kept = kept_copy(w, "channels last", type, [&] {
    Tensor made = Tensor::empty(shape, type, Device::cuda);
    rearrange(made, w, stream);
    wait_for(stream);
    return made;
  });
  if (kept) return kept;
  Tensor copy = temporary(shape, type, stream);
  rearrange(copy, w, stream);
  return copy;
}

bool asked_for() { return cuda_options().conv == ConvEngine::cudnn; }

Conv conv_of(const Shape& x, const Tensor& w, int stride, int pad, DType type) {
  const std::string why = why_no_cudnn();
  GMAIL_CHECK(why.empty(), "[conv2d] cuDNN was asked for: ", why);
  return {x, w.shape(), conv2d_shape(x, w.shape(), stride, pad), stride, pad, type, cuda_options().tf32};
}

}  // namespace

bool conv2d_forward(Tensor& y, const Tensor& x, const Tensor& w, const Tensor& b, int stride, int pad,
                    Stream stream) {
  if (!asked_for()) return false;
  const Conv c = conv_of(x.shape(), w, stride, pad, x.dtype());
  if (!aligned(x) || !aligned(y)) return fell_back(c.key("forward"), "a tensor is not aligned to 16 bytes");
  if (b && aligned(b)) {
    const Prepared fused = prepare(c.key("forward with bias"), [&] { return forward(c, Bias::fused); });
    if (fused) {
      run(fused, {x, weights(w, x.dtype(), stream), b, y}, stream);
      return true;
    }
  }
  const Prepared plain = prepare(c.key("forward"), [&] { return forward(c, Bias::none); });
  if (!plain) return fell_back(c.key("forward"), plain.why_not);
  run(plain, {x, weights(w, x.dtype(), stream), y}, stream);
  if (b)
    with_device_type(y.dtype(), [&](auto zero) {
      using T = decltype(zero);
      launch(stream, add_bias<T>, blocks_for(y.numel(), kThreads), kThreads, 0, span<T>(y), span<float>(b),
             w.size(0), y.numel());
    });
  return true;
}

bool conv2d_input_gradient(Grad dx, const Tensor& dy, const Tensor& w, int stride, int pad, Stream stream) {
  if (!asked_for()) return false;
  const Conv c = conv_of(dx.t.shape(), w, stride, pad, dy.dtype());
  if (!aligned(dy)) return fell_back(c.key("input gradient"), "a tensor is not aligned to 16 bytes");
  const Prepared made = prepare(c.key("input gradient"), [&] { return input_gradient(c); });
  if (!made) return fell_back(c.key("input gradient"), made.why_not);
  const Tensor t = target(dx, c.x, dy.dtype(), stream);
  run(made, {dy, weights(w, dy.dtype(), stream), t}, stream);
  add(dx, t, stream);
  return true;
}

bool conv2d_weight_gradient(Grad dw, const Tensor& dy, const Tensor& x, const Tensor& w, int stride, int pad,
                            Stream stream) {
  if (!asked_for()) return false;
  const Conv c = conv_of(x.shape(), w, stride, pad, x.dtype());
  if (!aligned(x) || !aligned(dy))
    return fell_back(c.key("weight gradient"), "a tensor is not aligned to 16 bytes");
  const Prepared made = prepare(c.key("weight gradient"), [&] { return weight_gradient(c); });
  if (!made) return fell_back(c.key("weight gradient"), made.why_not);
  const Tensor t = temporary(w.shape(), x.dtype(), stream);
  run(made, {dy, x, t}, stream);
  with_device_type(dw.t.dtype(), [&](auto weight) {
    with_device_type(x.dtype(), [&](auto zero) {
      using To = decltype(weight);
      using From = decltype(zero);
      launch(stream, channels_first<To, From>, blocks_for(t.numel(), kThreads), kThreads, 0, grad<To>(dw),
             span<From>(t), w.size(1), w.size(2) * w.size(3), t.numel());
    });
  });
  return true;
}

}  // namespace gmail::cuda::dnn
