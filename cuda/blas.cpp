#include "blas.h"

#include <cublasLt.h>

#include <map>
#include <mutex>
#include <tuple>

#include "launch.h"
#include "temporary.h"

namespace gmail::cuda {
namespace {

void check_blas(cublasStatus_t status, const char* call, const char* file, int line) {
  GMAIL_CHECK(status == CUBLAS_STATUS_SUCCESS, "[cuda] ", cublasGetStatusString(status), ": ", call, " (",
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

constexpr size_t kWorkspace = size_t{32} << 20U;

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

// A row-major matrix is the column-major one of its transpose, so cuBLASLt computes C^T = op(B)^T
// op(A)^T: its first operand is our B, its second our A, and neither is copied.
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

// Everything about a product but its pointers and factors.
struct Plan {
  Operation operation;
  Layout a, b, c;
  cublasLtMatmulAlgo_t algorithm{};
};

using Key = std::tuple<int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t, int64_t,
                       int64_t, bool, bool, bool, DType, DType, uint32_t, uint32_t, uint32_t>;

void choose_algorithm(Plan& plan, uint32_t align_a, uint32_t align_b, uint32_t align_c, const Product& p) {
  Preference preference;
  CUBLAS_CHECK(cublasLtMatmulPreferenceCreate(&preference.h));
  const auto set = [&](cublasLtMatmulPreferenceAttributes_t name, const auto& value) {
    CUBLAS_CHECK(cublasLtMatmulPreferenceSetAttribute(preference.h, name, &value, sizeof(value)));
  };
  set(CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, kWorkspace);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES, align_b);  // theirs is our B
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_B_BYTES, align_a);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_C_BYTES, align_c);
  set(CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES, align_c);
  cublasLtMatmulHeuristicResult_t found{};
  int count = 0;
  CUBLAS_CHECK(cublasLtMatmulAlgoGetHeuristic(handle(), plan.operation.h, plan.b.h, plan.a.h, plan.c.h,
                                              plan.c.h, preference.h, 1, &found, &count));
  GMAIL_CHECK(count > 0, "[product] cuBLASLt has no algorithm for ", p.m, " x ", p.n, " x ", p.k);
  plan.algorithm = found.algo;
}

Plan& plan_of(const Product& p) {
  static std::mutex mutex;
  static std::map<Key, Plan> plans;
  const void* c_in = p.c_in ? p.c_in.raw() : p.c.raw();
  const uint32_t align_a = alignment(p.a.t->raw()), align_b = alignment(p.b.t->raw()),
                 align_c = std::min(alignment(p.c.raw()), alignment(c_in));
  const Key key(p.m, p.n, p.k, p.batch, p.a.ld, p.b.ld, p.ldc, p.a.stride, p.b.stride, p.stride_c, p.a.trans,
                p.b.trans, p.bias.defined(), p.a.t->dtype(), p.c.dtype(), align_a, align_b, align_c);
  const std::lock_guard lock(mutex);
  const auto [at, fresh] = plans.try_emplace(key);
  Plan& plan = at->second;
  if (!fresh) return plan;
  CUBLAS_CHECK(cublasLtMatmulDescCreate(&plan.operation.h, CUBLAS_COMPUTE_32F, CUDA_R_32F));
  const auto set = [&](cublasLtMatmulDescAttributes_t name, const auto& value) {
    CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(plan.operation.h, name, &value, sizeof(value)));
  };
  const cublasOperation_t op_b = p.b.trans ? CUBLAS_OP_T : CUBLAS_OP_N,
                          op_a = p.a.trans ? CUBLAS_OP_T : CUBLAS_OP_N;
  set(CUBLASLT_MATMUL_DESC_TRANSA, op_b);
  set(CUBLASLT_MATMUL_DESC_TRANSB, op_a);
  if (p.bias) {
    const cublasLtEpilogue_t epilogue = CUBLASLT_EPILOGUE_BIAS;
    const cudaDataType_t type = type_of(p.bias.dtype());
    set(CUBLASLT_MATMUL_DESC_EPILOGUE, epilogue);
    set(CUBLASLT_MATMUL_DESC_BIAS_DATA_TYPE, type);
  }
  const DType type = p.a.t->dtype();
  make_layout(plan.b, type, p.b.trans ? p.k : p.n, p.b.trans ? p.n : p.k, p.b.ld, p.batch, p.b.stride);
  make_layout(plan.a, type, p.a.trans ? p.m : p.k, p.a.trans ? p.k : p.m, p.a.ld, p.batch, p.a.stride);
  make_layout(plan.c, p.c.dtype(), p.n, p.m, p.ldc, p.batch, p.stride_c);
  choose_algorithm(plan, align_a, align_b, align_c, p);
  return plan;
}

}  // namespace

void product(const Product& p, Stream stream) {
  GMAIL_CHECK(p.a.t->dtype() == p.b.t->dtype(), "[product] types differ: ", name_of(p.a.t->dtype()), " and ",
              name_of(p.b.t->dtype()));
  Plan& plan = plan_of(p);
  if (p.bias) {
    const void* bias = p.bias.raw();
    CUBLAS_CHECK(cublasLtMatmulDescSetAttribute(plan.operation.h, CUBLASLT_MATMUL_DESC_BIAS_POINTER, &bias,
                                                sizeof(bias)));
  }
  const Tensor workspace =
      temporary({static_cast<int64_t>(kWorkspace / sizeof(float))}, DType::float32, stream);
  const void* c_in = p.c_in ? p.c_in.raw() : p.c.raw();
  CUBLAS_CHECK(cublasLtMatmul(handle(), plan.operation.h, &p.alpha, p.b.t->raw(), plan.b.h, p.a.t->raw(),
                              plan.a.h, &p.beta, c_in, plan.c.h, p.c.raw(), plan.c.h, &plan.algorithm,
                              workspace.raw(), kWorkspace, raw(stream)));
}

}  // namespace gmail::cuda
