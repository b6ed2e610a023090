#include "blas.h"

#include <cublasLt.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <limits>
#include <map>
#include <mutex>
#include <vector>

#include "core/cuda_options.h"
#include "core/device_memory.h"
#include "launch.h"
#include "temporary.h"
#include "trial.h"

namespace gmail::cuda {
namespace {

void check_blas(cublasStatus_t status, const char* call, const char* file, int line) {
  GMAIL_CHECK(status == CUBLAS_STATUS_SUCCESS, "[cuda] ", cublasLtGetStatusString(status), ": ", call, " (",
              file, ':', line, ')');
}
#define CUBLAS_CHECK(call) check_blas((call), #call, __FILE__, __LINE__)

template <class Handle, auto kDestroy>
struct Owned {
  Handle h = nullptr;
  Owned() = default;
  Owned(const Owned&) = delete;
  Owned& operator=(const Owned&) = delete;
  ~Owned() {
    if (h != nullptr) kDestroy(h);
  }
};
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;
using Event = Owned<cudaEvent_t, cudaEventDestroy>;

constexpr size_t kWorkspace = size_t{32} << 20U;
constexpr int kCandidates = 8, kRounds = 4, kRepeats = 3;

cudaDataType_t type_of(DType t) {
  GMAIL_CHECK(t == DType::float32 || t == DType::bfloat16, "[product] no products of ", name_of(t));
  return t == DType::float32 ? CUDA_R_32F : CUDA_R_16BF;
}

cublasLtHandle_t handle() {
  static cublasLtHandle_t h = [] {
    cublasLtHandle_t made = nullptr;
    CUBLAS_CHECK(cublasLtCreate(&made));
    return made;
  }();
  return h;
}

uint32_t alignment(const void* p) {
  const auto address = reinterpret_cast<uintptr_t>(p);
  return static_cast<uint32_t>(address == 0 ? 256 : std::min<uintptr_t>(256, address & (~address + 1)));
}

// Where a call reads and writes.
struct Places {
  const void *a, *b, *c_in;
  void *c, *aux, *vector;  // vector: bias, or where the row sums go
};

void* raw_or_null(const Tensor& t) { return t ? t.raw() : nullptr; }

Places places_of(const Product& p) {
  return {p.a.t->raw(), p.b.t->raw(),       (p.c_in ? p.c_in : p.c).raw(),
          p.c.raw(),    raw_or_null(p.aux), raw_or_null(p.bias ? p.bias : p.row_sums)};
}

cublasLtEpilogue_t epilogue_of(const Product& p) {
  if (p.epilogue == Epilogue::dgelu) return CUBLASLT_EPILOGUE_DGELU;
  if (p.epilogue == Epilogue::gelu && p.aux)
    return p.bias ? CUBLASLT_EPILOGUE_GELU_AUX_BIAS : CUBLASLT_EPILOGUE_GELU_AUX;
  if (p.epilogue == Epilogue::gelu) return p.bias ? CUBLASLT_EPILOGUE_GELU_BIAS : CUBLASLT_EPILOGUE_GELU;
  if (p.row_sums) return CUBLASLT_EPILOGUE_BGRADB;  // their B is our A
  return p.bias ? CUBLASLT_EPILOGUE_BIAS : CUBLASLT_EPILOGUE_DEFAULT;
}

// A row-major matrix is the column-major one of its transpose, so cuBLASLt computes C^T = op(B)^T op(A)^T:
// its first operand is our B, its second our A, and neither is copied.
void make_layout(Layout& layout, DType type, int64_t columns, int64_t rows, int64_t ld, int64_t batch,
                 int64_t stride) {
  CUBLAS_CHECK(cublasLtMatrixLayoutCreate(&layout.h, type_of(type), static_cast<uint64_t>(columns),
                                          static_cast<uint64_t>(rows), ld));
  if (batch == 1) return;
  const auto count = static_cast<int32_t>(batch);
  CUBLAS_CHECK(
      cublasLtMatrixLayoutSetAttribute(layout.h, CUBLASLT_MATRIX_LAYOUT_BATCH_COUNT, &count, sizeof(count)));
  CUBLAS_CHECK(cublasLtMatrixLayoutSetAttribute(layout.h, CUBLASLT_MATRIX_LAYOUT_STRIDED_BATCH_OFFSET,
                                                &stride, sizeof(stride)));
}

// Everything about a product but its places and factors.
struct Plan {
  Operation operation;
  Layout a, b, c;
  std::vector<cublasLtMatmulAlgo_t> algorithms;  // the library's order; none: it cannot
  bool settled = false;                          // only the first is left, or counts
};

template <class T>
void set(const Operation& operation, cublasLtMatmulDescAttributes_t name, const T& value) {
  CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(operation.h, name, &value, sizeof(value)));
}

void set_places(const Plan& plan, const Places& at) {
  if (at.vector != nullptr) set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_POINTER, at.vector);
  if (at.aux != nullptr) set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_POINTER, at.aux);
}

void find_algorithms(Plan& plan, const Places& at) {
  Preference preference;
  CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference.h));
  const auto prefer = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference.h, name, &value, sizeof(value)));
  };
  prefer(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, alignment(at.b));  // theirs is our B
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, alignment(at.a));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, alignment(at.c_in));
  prefer(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, alignment(at.c));
  set_places(plan, at);  // their alignment counts
  std::array<cublasLtMatmulHeuristicResult_t, kCandidates> found{};
  int count = 0;
  const cublasStatus_t status =
      cublasLtMatmulAlgoGetHeuristic(handle(), plan.operation.h, plan.b.h, plan.a.h, plan.c.h, plan.c.h,
                                     preference.h, kCandidates, found.data(), &count);
  if (status == CUBLAS_STATUS_NOT_SUPPORTED) return;
  CUBLAS_CHECK(status);
  for (int i = 0; i < count; ++i)
    if (found[static_cast<size_t>(i)].state == CUBLAS_STATUS_SUCCESS)
      plan.algorithms.push_back(found[static_cast<size_t>(i)].algo);
}

bool uses_tf32(const Product& p) { return p.a.t->dtype() == DType::float32 && cuda_options().tf32; }

void make_plan(Plan& plan, const Product& p, const Places& at) {
  CUBLAS_CHECK(cublasLtMatmulDescCreate(
      &plan.operation.h, uses_tf32(p) ? CUBLAS_COMPUTE_32F_FAST_TF32 : CUBLAS_COMPUTE_32F, CUDA_R_32F));
  set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSA, p.b.trans ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.operation, CUBLASLT_MATMUL_DESC_TRANSB, p.a.trans ? CUBLAS_OP_T : CUBLAS_OP_N);
  set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue_of(p));
  const DType type = p.a.t->dtype();
  if (at.vector != nullptr) set(plan.operation, CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type_of(p.c.dtype()));
  if (p.aux) set(plan.operation, CUBLASLT_MATMUL_DESC_EPILOGUE_AUX_LD, p.n);
  make_layout(plan.b, type, p.b.trans ? p.k : p.n, p.b.trans ? p.n : p.k, p.b.ld, p.batch, p.b.stride);
  make_layout(plan.a, type, p.a.trans ? p.m : p.k, p.a.trans ? p.k : p.m, p.a.ld, p.batch, p.a.stride);
  make_layout(plan.c, p.c.dtype(), p.n, p.m, p.ldc, p.batch, p.stride_c);
  if (p.aux && p.n % 8 != 0) return;  // the library asks for rows of whole 16 bytes
  find_algorithms(plan, at);
}

cublasStatus_t run(const Plan& plan, const cublasLtMatmulAlgo_t& algorithm, const Places& at, float alpha,
                   float beta, const Tensor& workspace, Stream stream) {
  set_places(plan, at);
  return cublasLtMatmul(handle(), plan.operation.h, &alpha, at.b, plan.b.h, at.a, plan.a.h, &beta, at.c_in,
                        plan.c.h, at.c, plan.c.h, &algorithm, workspace.raw(), kWorkspace, raw(stream));
}

// Operands of a trial: as large as the product's own, which it leaves alone, with values that hide nothing.
struct Trial {
  Tensor a, b, c_in, c, first, aux, vector;
  Trial(const Product& p, Stream stream) {
    const auto like = [&](const Tensor& t, int64_t rows, int64_t columns, int64_t ld, int64_t stride,
                          uint64_t seed) {
      Tensor made =
          Tensor::empty({(p.batch - 1) * stride + (rows - 1) * ld + columns}, t.dtype(), Device::cuda);
      fill_uniform(made, seed, stream);
      return made;
    };
    a = like(*p.a.t, p.a.trans ? p.k : p.m, p.a.trans ? p.m : p.k, p.a.ld, p.a.stride, 1);
    b = like(*p.b.t, p.b.trans ? p.n : p.k, p.b.trans ? p.k : p.n, p.b.ld, p.b.stride, 2);
    c_in = like(p.c, p.m, p.n, p.ldc, p.stride_c, 3);
    c = like(p.c, p.m, p.n, p.ldc, p.stride_c, 4);
    first = like(p.c, p.m, p.n, p.ldc, p.stride_c, 4);
    if (p.aux) aux = like(p.aux, p.m, p.n, p.n, 0, 5);
    if (p.bias || p.row_sums) vector = like(p.c, 1, std::max(p.m, p.n), 0, 0, 6);
  }
  [[nodiscard]] Places places(const Tensor& out) const {
    return {a.raw(), b.raw(), c_in.raw(), out.raw(), raw_or_null(aux), raw_or_null(vector)};
  }
};

// Which of the algorithms is the fastest, among those that give the bits of the first.
size_t fastest(const Plan& plan, const Product& p, const Tensor& workspace, Stream stream) {
  const Trial trial(p, stream);
  const auto try_one = [&](size_t i, const Tensor& out) {
    return run(plan, plan.algorithms[i], trial.places(out), p.alpha, p.beta, workspace, stream);
  };
  CUBLAS_CHECK(try_one(0, trial.first));
  const Tensor sums = p.row_sums ? trial.vector.clone() : Tensor();
  std::vector<size_t> equal{0};
  for (size_t i = 1; i < plan.algorithms.size(); ++i)
    if (try_one(i, trial.c) == CUBLAS_STATUS_SUCCESS && equal_bits(trial.c, trial.first, stream) &&
        (!sums || equal_bits(trial.vector, sums, stream)))
      equal.push_back(i);
  if (equal.size() == 1) return 0;
  Event begin, end;
  CUDA_CHECK(cudaEventCreate(&begin.h));
  CUDA_CHECK(cudaEventCreate(&end.h));
  std::vector<float> best(equal.size(), std::numeric_limits<float>::infinity());
  for (int round = 0; round < kRounds; ++round)
    for (size_t e = 0; e < equal.size(); ++e) {
      CUDA_CHECK(cudaEventRecord(begin.h, raw(stream)));
      for (int repeat = 0; repeat < kRepeats; ++repeat) CUBLAS_CHECK(try_one(equal[e], trial.c));
      CUDA_CHECK(cudaEventRecord(end.h, raw(stream)));
      CUDA_CHECK(cudaEventSynchronize(end.h));
      float ms = 0;
      CUDA_CHECK(cudaEventElapsedTime(&ms, begin.h, end.h));
      best[e] = std::min(best[e], ms);
    }
  return equal[static_cast<size_t>(std::min_element(best.begin(), best.end()) - best.begin())];
}

bool capturing(Stream stream) {
  cudaStreamCaptureStatus status = cudaStreamCaptureStatusNone;
  CUDA_CHECK(cudaStreamIsCapturing(raw(stream), &status));
  return status != cudaStreamCaptureStatusNone;
}

std::atomic<int64_t> elements{0};  // read and written so far

int64_t elements_of(const Product& p) {
  return p.batch * (p.m * p.k + p.k * p.n + p.m * p.n * (p.beta == 0 ? 1 : 2) + (p.aux ? p.m * p.n : 0));
}

using Key = std::array<int64_t, 24>;

Key key_of(const Product& p, const Places& at) {
  const auto type = [](const Tensor& t) { return static_cast<int64_t>(t.dtype()); };
  return {p.m,
          p.n,
          p.k,
          p.batch,
          p.a.ld,
          p.b.ld,
          p.ldc,
          p.a.stride,
          p.b.stride,
          p.stride_c,
          p.a.trans,
          p.b.trans,
          p.beta == 0,
          epilogue_of(p),
          type(*p.a.t),
          type(p.c),
          uses_tf32(p),
          at.c == at.c_in,
          alignment(at.a),
          alignment(at.b),
          alignment(at.c_in),
          alignment(at.c),
          alignment(at.aux),
          alignment(at.vector)};
}

void check(const Product& p) {
  GMAIL_CHECK(p.a.t->dtype() == p.b.t->dtype(), "[product] types differ: ", name_of(p.a.t->dtype()), " and ",
              name_of(p.b.t->dtype()));
  for (const Tensor* t : {&p.c_in, &p.bias, &p.aux, &p.row_sums})
    GMAIL_CHECK(!*t || t->dtype() == p.c.dtype(), "[product] a result of ", name_of(p.c.dtype()),
                " beside operands of ", name_of(t->dtype()));
  GMAIL_CHECK(!p.row_sums || (!p.bias && p.epilogue == Epilogue::none), "[product] row sums stand alone");
  GMAIL_CHECK(p.epilogue != Epilogue::dgelu || (p.aux && !p.bias), "[product] dgelu takes aux and no bias");
  GMAIL_CHECK(p.batch == 1 || (!p.aux && !p.row_sums), "[product] aux and row sums are of one matrix");
}

}  // namespace

bool try_product(const Product& p, Stream stream) {
  static std::mutex mutex;  // a plan holds the places of the call that is being made
  static std::map<Key, Plan> plans;
  check(p);
  const Places at = places_of(p);
  const std::lock_guard lock(mutex);
  const auto [entry, fresh] = plans.try_emplace(key_of(p, at));
  Plan& plan = entry->second;
  if (fresh) make_plan(plan, p, at);
  if (plan.algorithms.empty()) return false;
  const Tensor workspace =
      temporary({static_cast<int64_t>(kWorkspace / sizeof(float))}, DType::float32, stream);
  if (!plan.settled && !capturing(stream)) {
    plan.algorithms = {plan.algorithms[fastest(plan, p, workspace, stream)]};
    plan.settled = true;
  }
  CUBLAS_CHECK(run(plan, plan.algorithms.front(), at, p.alpha, p.beta, workspace, stream));
  elements += elements_of(p);
  return true;
}

void product(const Product& p, Stream stream) {
  GMAIL_CHECK(try_product(p, stream), "[product] cuBLASLt has no algorithm for ", p.m, " x ", p.n, " x ",
              p.k);
}

int64_t product_elements() { return elements; }

}  // namespace gmail::cuda
