// cuBLASLt on the CPU: column-major matrices, the definition in double. It offers three algorithms for every
// product: 0 and 1 give the same bits and 1 takes less time; 2 is the fastest and rounds in another way, by
// far more than any real one would.
#include <cublasLt.h>
#include <cuda_bf16.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "emulator.h"

struct emulator_blas {};
struct emulator_product {
  cublasComputeType_t compute = CUBLAS_COMPUTE_32F;
  cublasOperation_t trans_a = CUBLAS_OP_N, trans_b = CUBLAS_OP_N;
  cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_DEFAULT;
  void *vector = nullptr, *aux = nullptr;
  int64_t aux_ld = 0;
  cudaDataType_t vector_type = CUDA_R_32F;
};
struct emulator_layout {
  cudaDataType_t type;
  int64_t rows, columns, ld;
  int32_t batch = 1;
  int64_t stride = 0;
};
struct emulator_preference {
  std::map<int, uint64_t> values;
};

namespace {

constexpr uint64_t kAlgorithms = 3;
int last = -1;
constexpr double kMilliseconds[kAlgorithms] = {3, 2, 1};

double read(const void* p, cudaDataType_t type, int64_t i) {
  if (type == CUDA_R_32F) return static_cast<const float*>(p)[i];
  return __bfloat162float(static_cast<const __nv_bfloat16*>(p)[i]);
}
void write(void* p, cudaDataType_t type, int64_t i, double v) {
  if (type == CUDA_R_32F)
    static_cast<float*>(p)[i] = static_cast<float>(v);
  else
    static_cast<__nv_bfloat16*>(p)[i] = __float2bfloat16_rn(static_cast<float>(v));
}

double to_tf32(double x) {  // ten bits of the fraction, to nearest even
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(x));
  return std::bit_cast<float>((bits + 0xfffU + (bits >> 13U & 1U)) & ~0x1fffU);
}

double gelu(double x) { return x / (1 + std::exp(-2 * std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x))); }
double gelu_slope(double x) {
  constexpr double kRoot = 0.79788456080286535588;  // sqrt(2 / pi)
  const double t = std::tanh(kRoot * (x + 0.044715 * x * x * x));
  return 0.5 * (1 + t) + 0.5 * x * (1 - t * t) * kRoot * (1 + 3 * 0.044715 * x * x);
}

bool has(const emulator_product& p, unsigned bit) { return (static_cast<unsigned>(p.epilogue) & bit) != 0; }

// op(A) is (m, k), op(B) (k, n), C and D (m, n): the library's rules.
bool fits(const emulator_product& p, const emulator_layout& a, const emulator_layout& b,
          const emulator_layout& c, const emulator_layout& d) {
  const bool ta = p.trans_a == CUBLAS_OP_T, tb = p.trans_b == CUBLAS_OP_T;
  const int64_t m = ta ? a.columns : a.rows, k = ta ? a.rows : a.columns;
  const bool shapes = (tb ? b.columns : b.rows) == k && (tb ? b.rows : b.columns) == d.columns &&
                      m == d.rows && c.rows == d.rows && c.columns == d.columns && c.ld == d.ld;
  for (const emulator_layout* l : {&a, &b, &c, &d})
    if (l->ld < l->rows || l->batch != d.batch) return false;
  const bool aux = !has(p, 128) || (p.aux_ld % 8 == 0 && p.aux_ld >= d.rows && d.batch == 1);
  const bool vector = p.vector == nullptr || p.vector_type == d.type;
  return shapes && aux && vector && a.type == b.type && c.type == d.type &&
         (a.type == CUDA_R_16BF || d.type == CUDA_R_32F);
}

bool aligned(const void* p, uint64_t bytes) { return reinterpret_cast<uintptr_t>(p) % bytes == 0; }

template <class T>
void take(T& field, const void* value) {
  std::memcpy(&field, value, sizeof(T));
}

struct Call {  // with copies: the work may wait for its turn, or be done again by a graph
  emulator_product p;
  const void *a, *b, *c;
  void* d;
  emulator_layout la, lb, lc, ld;
  double alpha, beta;

  [[nodiscard]] double element_a(int64_t batch, int64_t i, int64_t x) const {
    const int64_t at = batch * la.stride + (p.trans_a == CUBLAS_OP_T ? i * la.ld + x : x * la.ld + i);
    return input(read(a, la.type, at));
  }
  [[nodiscard]] double element_b(int64_t batch, int64_t x, int64_t j) const {
    const int64_t at = batch * lb.stride + (p.trans_b == CUBLAS_OP_T ? x * lb.ld + j : j * lb.ld + x);
    return input(read(b, lb.type, at));
  }
  [[nodiscard]] double input(double v) const {
    return p.compute == CUBLAS_COMPUTE_32F_FAST_TF32 && la.type == CUDA_R_32F ? to_tf32(v) : v;
  }
  [[nodiscard]] int64_t depth() const { return p.trans_a == CUBLAS_OP_T ? la.rows : la.columns; }

  void element(int64_t batch, int64_t i, int64_t j, double factor) const {
    double sum = 0;
    for (int64_t x = 0; x < depth(); ++x) sum += element_a(batch, i, x) * element_b(batch, x, j);
    double v = alpha * sum;
    if (beta != 0) v += beta * read(c, lc.type, batch * lc.stride + j * lc.ld + i);
    if (has(p, CUBLASLT_EPILOGUE_BIAS)) v += read(p.vector, p.vector_type, i);
    if (p.epilogue == CUBLASLT_EPILOGUE_DGELU)
      v *= gelu_slope(read(p.aux, ld.type, j * p.aux_ld + i));
    else if (has(p, 128))
      write(p.aux, ld.type, j * p.aux_ld + i, v);
    if (has(p, CUBLASLT_EPILOGUE_GELU)) v = gelu(v);
    write(d, ld.type, batch * ld.stride + j * ld.ld + i, factor * v);
  }
  void run(double factor) const {
    for (int64_t batch = 0; batch < ld.batch; ++batch)
      for (int64_t j = 0; j < ld.columns; ++j)
        for (int64_t i = 0; i < ld.rows; ++i) element(batch, i, j, factor);
    for (int64_t j = 0; p.epilogue == CUBLASLT_EPILOGUE_BGRADB && j < ld.columns; ++j) {
      double sum = 0;
      for (int64_t x = 0; x < depth(); ++x) sum += element_b(0, x, j);
      write(p.vector, p.vector_type, j, sum);
    }
  }
};

}  // namespace

int emulator::last_algorithm() { return last; }

const char* cublasLtGetStatusString(cublasStatus_t status) {
  return status == CUBLAS_STATUS_SUCCESS         ? "CUBLAS_STATUS_SUCCESS"
         : status == CUBLAS_STATUS_INVALID_VALUE ? "CUBLAS_STATUS_INVALID_VALUE"
                                                 : "CUBLAS_STATUS_NOT_SUPPORTED";
}
cublasStatus_t cublasLtCreate(cublasLtHandle_t* handle) {
  static emulator_blas blas;
  *handle = &blas;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t* product, cublasComputeType_t compute,
                                        cudaDataType_t scale) {
  if (scale != CUDA_R_32F) return CUBLAS_STATUS_INVALID_VALUE;
  *product = new emulator_product{.compute = compute};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescDestroy(cublasLtMatmulDesc_t product) {
  delete product;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t p, cublasLtMatmulDescAttributes_t name,
                                              const void* value, size_t bytes) {
  const bool wide = name == CUBLASLT_MATMUL_DESC_BIAS_POINTER ||
                    name == CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER ||
                    name == CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD;
  if (bytes != (wide ? 8 : 4)) return CUBLAS_STATUS_INVALID_VALUE;
  switch (name) {
    case CUBLASLT_MATMUL_DESC_TRANSA:
      return take(p->trans_a, value), CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_TRANSB:
      return take(p->trans_b, value), CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_EPILOGUE:
      return take(p->epilogue, value), CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_BIAS_POINTER:
      return take(p->vector, value), CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER:
      return take(p->aux, value), CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD:
      return take(p->aux_ld, value), CUBLAS_STATUS_SUCCESS;
    case CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE:
      return take(p->vector_type, value), CUBLAS_STATUS_SUCCESS;
  }
  return CUBLAS_STATUS_INVALID_VALUE;
}
cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t* layout, cudaDataType_t type, uint64_t rows,
                                          uint64_t columns, int64_t ld) {
  *layout = new emulator_layout{type, static_cast<int64_t>(rows), static_cast<int64_t>(columns), ld};
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutDestroy(cublasLtMatrixLayout_t layout) {
  delete layout;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatrixLayoutSetAttribute(cublasLtMatrixLayout_t layout,
                                                cublasLtMatrixLayoutAttribute_t name, const void* value,
                                                size_t bytes) {
  const bool count = name == CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT;
  if (bytes != (count ? 4 : 8)) return CUBLAS_STATUS_INVALID_VALUE;
  if (count)
    take(layout->batch, value);
  else
    take(layout->stride, value);
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t* preference) {
  *preference = new emulator_preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceDestroy(cublasLtMatmulPreference_t preference) {
  delete preference;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t preference,
                                                    cublasLtMatmulPreferenceAttributes_t name,
                                                    const void* value, size_t bytes) {
  if (bytes != (name == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES ? 8 : 4)) return CUBLAS_STATUS_INVALID_VALUE;
  std::memcpy(&preference->values[name], value, bytes);
  return CUBLAS_STATUS_SUCCESS;
}

// An algorithm remembers what it may rely on: the alignment of A, B, C, D.
cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t, cublasLtMatmulDesc_t product,
                                              cublasLtMatrixLayout_t a, cublasLtMatrixLayout_t b,
                                              cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                              cublasLtMatmulPreference_t preference, int wanted,
                                              cublasLtMatmulHeuristicResult_t* results, int* found) {
  *found = 0;
  if (!fits(*product, *a, *b, *c, *d)) return CUBLAS_STATUS_NOT_SUPPORTED;
  for (uint64_t i = 0; i < kAlgorithms && *found < wanted; ++i, ++*found) {
    cublasLtMatmulHeuristicResult_t result{};
    result.algo.data[0] = i;
    for (int n = 0; n < 4; ++n)
      result.algo.data[1 + n] = preference->values.at(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES + n);
    results[*found] = result;
  }
  return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t, cublasLtMatmulDesc_t product, const void* alpha,
                              const void* a, cublasLtMatrixLayout_t a_layout, const void* b,
                              cublasLtMatrixLayout_t b_layout, const void* beta, const void* c,
                              cublasLtMatrixLayout_t c_layout, void* d, cublasLtMatrixLayout_t d_layout,
                              const cublasLtMatmulAlgo_t* algorithm, void*, size_t, cudaStream_t stream) {
  const uint64_t* const known = algorithm->data;
  if (!fits(*product, *a_layout, *b_layout, *c_layout, *d_layout) || known[0] >= kAlgorithms ||
      !aligned(a, known[1]) || !aligned(b, known[2]) || !aligned(c, known[3]) || !aligned(d, known[4]))
    return CUBLAS_STATUS_INVALID_VALUE;
  const Call call{*product,
                  a,
                  b,
                  c,
                  d,
                  *a_layout,
                  *b_layout,
                  *c_layout,
                  *d_layout,
                  *static_cast<const float*>(alpha),
                  *static_cast<const float*>(beta)};
  emulator::enqueue(stream, [call, which = known[0]] {
    call.run(which == 2 ? 1.5 : 1);
    emulator::pass_time(kMilliseconds[which]);
    last = static_cast<int>(which);
  });
  return CUBLAS_STATUS_SUCCESS;
}
