// The twin of cuda/blas.cpp: the definition, in double.
#include "blas.h"

#include "device_span.h"

namespace gmail::cuda {
namespace {

// A matrix as the work on a stream holds it: memory and type, no hold on the tensor.
struct Elements {
  DType type = DType::float32;
  DeviceSpan<float> f;
  DeviceSpan<bf16> b;
  explicit Elements(Tensor t) {
    if (!t) return;
    type = t.dtype();
    with_device_type(type, [&](auto zero) {
      if constexpr (std::is_same_v<decltype(zero), float>)
        f = span<float>(t);
      else
        b = span<bf16>(t);
    });
  }
  explicit operator bool() const { return f || b; }
  [[nodiscard]] double at(int64_t i) const { return static_cast<double>(f ? f[i] : load(b[i])); }
  void set(int64_t i, double v) const {
    if (f)
      f[i] = static_cast<float>(v);
    else
      b[i] = store<bf16>(static_cast<float>(v));
  }
};

// what a product is without its tensors
struct Sizes {
  int64_t m, n, k, batch, ldc, stride_c;
  Operand a, b;
  float alpha, beta;
};

void multiply(const Sizes& p, const Elements& A, const Elements& B, const Elements& C, const Elements& C_in,
              const Elements& bias) {
  for (int64_t l = 0; l < p.batch; ++l)
    for (int64_t i = 0; i < p.m; ++i)
      for (int64_t j = 0; j < p.n; ++j) {
        double sum = 0;
        for (int64_t x = 0; x < p.k; ++x)
          sum += A.at(l * p.a.stride + (p.a.trans ? x * p.a.ld + i : i * p.a.ld + x)) *
                 B.at(l * p.b.stride + (p.b.trans ? j * p.b.ld + x : x * p.b.ld + j));
        const int64_t at = l * p.stride_c + i * p.ldc + j;
        double v = static_cast<double>(p.alpha) * sum;
        if (p.beta != 0) v += static_cast<double>(p.beta) * C_in.at(at);
        if (bias) v += bias.at(j);
        C.set(at, v);
      }
}

}  // namespace

void product(const Product& p, Stream stream) {
  GMAIL_CHECK(p.a.t->dtype() == p.b.t->dtype(), "[product] types differ: ", name_of(p.a.t->dtype()), " and ",
              name_of(p.b.t->dtype()));
  const Sizes sizes{p.m, p.n, p.k, p.batch, p.ldc, p.stride_c, p.a, p.b, p.alpha, p.beta};
  const Elements A(*p.a.t), B(*p.b.t), C(p.c), C_in(p.c_in ? p.c_in : p.c), bias(p.bias);
  emulator::enqueue(stream.handle, [=] { multiply(sizes, A, B, C, C_in, bias); });
}

}  // namespace gmail::cuda
