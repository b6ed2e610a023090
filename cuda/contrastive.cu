#include "ops/contrastive.h"

#include "blas.h"
#include "each.cuh"
#include "reduce.cuh"
#include "temporary.h"
#include "total.cuh"

namespace gmail::cuda {
namespace {

// Everything here is float32: a bfloat16 logit would be off by a whole unit at t = 100. log_scale and dL
// are read where they lie, on the device.
constexpr int kThreads = 256;
constexpr float kMinusInfinity = -__builtin_huge_valf();
using In = DeviceSpan<const float>;
using Out = DeviceSpan<float>;

// z = a b^T; the kernels multiply by t = exp(log_scale)
void dot_products(Tensor& z, const Tensor& a, const Tensor& b, ContrastiveSizes s, Stream stream) {
  product({.m = s.N, .n = s.N, .k = s.E, .a = {&a, s.E}, .b = {&b, s.E, true}, .c = z, .ldc = s.N}, stream);
}

// z_ij = t a_i . b_j, -inf where j stands in no softmax of i, and l_i of its row: a block a row
__global__ void rows_kernel(Out z, Out l, In log_scale, DeviceSpan<const int32_t> group, int64_t N) {
  __shared__ float partial[kWarp];
  const int64_t i = blockIdx.x, at = i * N;
  const float t = expf(log_scale[0]);
  LogSum sum;
  for (int64_t j = threadIdx.x; j < N; j += kThreads) {
    const bool masked = group && j != i && group[j] == group[i];
    const float v = masked ? kMinusInfinity : t * z[at + j];
    z[at + j] = v;
    sum.add(v);
  }
  const float total = sum.of_block(partial);
  if (threadIdx.x == 0) l[i] = total;
}

// l_j of a column: a block for 32 columns, their rows dealt out to 32 threads
constexpr int kColumnLanes = 32;
__global__ void columns_kernel(Out l, In z, int64_t N) {
  __shared__ float ms[kColumnLanes][kWarp], sums[kColumnLanes][kWarp];
  const int column = static_cast<int>(threadIdx.x % kWarp), first = static_cast<int>(threadIdx.x / kWarp);
  const int64_t j = int64_t{blockIdx.x} * kWarp + column;
  LogSum sum;
  for (int64_t i = first; i < N && j < N; i += kColumnLanes) sum.add(z[i * N + j]);
  ms[first][column] = sum.m;
  sums[first][column] = sum.s;
  __syncthreads();
  if (first != 0 || j >= N) return;
  for (int k = 1; k < kColumnLanes; ++k) sum.join(ms[k][column], sums[k][column]);
  l[j] = sum.value();
}

// eq. (1), (2): the term of row i
struct PairLoss {
  In z, row, column;  // column absent: one direction
  int64_t N;
  __device__ float operator()(int64_t i) const {
    return (column ? 0.5F * (row[i] + column[i]) : row[i]) - z[i * N + i];
  }
};

// eq. (3): z becomes dz
struct Gradient {
  Out z;
  In row, column;
  int64_t N;
  template <int K>
  __device__ void at(int64_t k) const {
    const int64_t i = k / N, j = k - i * N;
    const Pack<float, K> v = read_pack<K>(z, k);
    const float l = row[i], n = static_cast<float>(N);
    float out[K];
    for (int c = 0; c < K; ++c) {
      const float p = expf(v[c] - l), q = column ? 0.5F * (p + expf(v[c] - column[j + c])) : p;
      out[c] = (q - (i == j + c ? 1.0F : 0.0F)) / n;
    }
    write_pack<K>(z, k, out);
  }
};

// eq. (4): z becomes dz, l_i the loss of row i. log sigmoid(u) = min(u, 0) - log(1 + exp(-|u|)), u = s z
__global__ void sigmoid_kernel(Out z, Out l, In log_scale, In bias, int64_t N) {
  __shared__ float partial[kWarp];
  const int64_t i = blockIdx.x, at = i * N;
  const float t = expf(log_scale[0]), n = static_cast<float>(N);
  float sum = 0;
  for (int64_t j = threadIdx.x; j < N; j += kThreads) {
    const float sign = i == j ? 1.0F : -1.0F, u = sign * (t * z[at + j] + bias[0]), e = expf(-fabsf(u));
    sum += (u < 0 ? -u : 0.0F) + log1pf(e);
    z[at + j] = -sign * (u < 0 ? 1.0F : e) / (1 + e) / n;
  }
  sum = block_reduce<Sum>(sum, partial);
  if (threadIdx.x == 0) l[i] = sum;
}

struct Element {
  In x;
  __device__ float operator()(int64_t i) const { return x[i]; }
};
struct ElementProduct {
  In x, y;
  __device__ float operator()(int64_t i) const { return x[i] * y[i]; }
};
struct Scaled {  // dL times the element
  In x, dloss;
  __device__ float operator()(int64_t i) const { return dloss[0] * x[i]; }
};

// scaled = t dL dz
struct ScaleGradient {
  Out scaled;
  In dz, log_scale, dloss;
  template <int K>
  __device__ void at(int64_t k) const {
    const Pack<float, K> v = read_pack<K>(dz, k);
    const float factor = expf(log_scale[0]) * dloss[0];
    float out[K];
    for (int c = 0; c < K; ++c) out[c] = factor * v[c];
    write_pack<K>(scaled, k, out);
  }
};

struct AddTo {
  GradSpan<float> g;
  In x;
  template <int K>
  __device__ void at(int64_t i) const {
    const Pack<float, K> v = read_pack<K>(x, i);
    float out[K];
    for (int c = 0; c < K; ++c) out[c] = v[c];
    put_pack<K>(g, i, out);
  }
};

In in(const Tensor& t) { return span<float>(t); }

void check_scalar(const char* op, const char* name, const Tensor& t) {
  GMAIL_CHECK(t.numel() == 1, "[", op, "] ", name, " must have one element, got ", t.shape());
}

}  // namespace

void info_nce_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                      const InfoNceOptions& options, Stream stream) {
  const ContrastiveSizes s = contrastive_sizes("info_nce", a, b, dz);
  const int64_t N = s.N;
  const Tensor& group = options.group;
  GMAIL_CHECK(!group || group.shape() == Shape{N}, "[info_nce] group must be (", N, "), got ", group.shape());
  check_scalar("info_nce", "log_scale", log_scale);
  Tensor row = temporary({N}, DType::float32, stream), column;
  dot_products(dz, a, b, s, stream);
  launch(stream, rows_kernel, blocks_for(N, 1), kThreads, 0, span<float>(dz), span<float>(row), in(log_scale),
         span<int32_t>(group), N);
  if (options.symmetric) {
    column = temporary({N}, DType::float32, stream);
    launch(stream, columns_kernel, blocks_for(N, kWarp), kColumnLanes * kWarp, 0, span<float>(column), in(dz),
           N);
  }
  total(GradSpan<float>{span<float>(loss)}, PairLoss{in(dz), in(row), in(column), N}, N,
        1 / static_cast<float>(N), stream);
  const Gradient gradient{span<float>(dz), in(row), in(column), N};
  each<kWide<float>>(gradient, N * N, N % kWide<float> == 0 && aligned(gradient.z), stream);
}

// eq. (3). The sum of dz_ij z_ij is that of a_i . da_i.
void info_nce_backward(Grad da, Grad db, Grad dlog_scale, const Tensor& dloss, const Tensor& dz,
                       const Tensor& a, const Tensor& b, const Tensor& log_scale, Stream stream) {
  const ContrastiveSizes s = contrastive_sizes("info_nce", a, b, dz);
  const int64_t N = s.N, E = s.E;
  Tensor scaled = temporary({N, N}, DType::float32, stream);
  const ScaleGradient scale{span<float>(scaled), in(dz), in(log_scale), in(dloss)};
  each<kWide<float>>(scale, N * N, aligned(scale.scaled, scale.dz), stream);
  if (da || dlog_scale) {
    Tensor own = temporary({N, E}, DType::float32, stream);
    product({.m = N, .n = E, .k = N, .a = {&scaled, N}, .b = {&b, E}, .c = own, .ldc = E}, stream);
    if (da) {
      const AddTo add{grad<float>(da), in(own)};
      each<kWide<float>>(add, N * E, aligned(add.g, add.x), stream);
    }
    if (dlog_scale) total(grad<float>(dlog_scale), ElementProduct{in(a), in(own)}, N * E, 1, stream);
  }
  if (db)
    product({.m = N,
             .n = E,
             .k = N,
             .a = {&scaled, N, true},
             .b = {&a, E},
             .c = db.t,
             .ldc = E,
             .beta = db.add ? 1.0F : 0.0F},
            stream);
}

void sigmoid_loss_forward(Tensor& loss, Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                          const Tensor& bias, Stream stream) {
  const ContrastiveSizes s = contrastive_sizes("sigmoid_loss", a, b, dz);
  check_scalar("sigmoid_loss", "log_scale", log_scale);
  check_scalar("sigmoid_loss", "bias", bias);
  Tensor row = temporary({s.N}, DType::float32, stream);
  dot_products(dz, a, b, s, stream);
  launch(stream, sigmoid_kernel, blocks_for(s.N, 1), kThreads, 0, span<float>(dz), span<float>(row),
         in(log_scale), in(bias), s.N);
  total(GradSpan<float>{span<float>(loss)}, Element{in(row)}, s.N, 1 / static_cast<float>(s.N), stream);
}

void sigmoid_loss_backward(Grad da, Grad db, Grad dlog_scale, Grad dbias, const Tensor& dloss,
                           const Tensor& dz, const Tensor& a, const Tensor& b, const Tensor& log_scale,
                           const Tensor& bias, Stream stream) {
  check_scalar("sigmoid_loss", "bias", bias);
  info_nce_backward(da, db, dlog_scale, dloss, dz, a, b, log_scale, stream);  // dz is all that differs
  if (dbias) total(grad<float>(dbias), Scaled{in(dz), in(dloss)}, dz.numel(), 1, stream);
}

}  // namespace gmail::cuda
