// cuDNN's descriptors, owned. For dnn.cpp alone: nothing else includes cuDNN's header.
#pragma once

#include <cudnn.h>

#include <string>
#include <utility>
#include <vector>

#include "core/check.h"

namespace gmail::cuda::dnn {

// cuDNN's last message says more than the status.
inline std::string last_message() {
  std::string text(512, '\0');
  cudnnGetLastErrorString(text.data(), text.size());
  text.resize(text.find('\0'));
  return text;
}

inline void check_dnn(cudnnStatus_t status, const char* call, const char* file, int line) {
  if (status == CUDNN_STATUS_SUCCESS) return;
  throw Error(concat("[cudnn] ", cudnnGetErrorString(status), ": ", call, " (", file, ':', line,
                     "): ", last_message()));
}
#define DNN_CHECK(call) check_dnn((call), #call, __FILE__, __LINE__)

// Under which name cuDNN takes a value.
constexpr cudnnBackendAttributeType_t kind_of(int64_t) { return CUDNN_TYPE_INT64; }
constexpr cudnnBackendAttributeType_t kind_of(float) { return CUDNN_TYPE_FLOAT; }
constexpr cudnnBackendAttributeType_t kind_of(bool) { return CUDNN_TYPE_BOOLEAN; }
constexpr cudnnBackendAttributeType_t kind_of(char) { return CUDNN_TYPE_CHAR; }
constexpr cudnnBackendAttributeType_t kind_of(void*) { return CUDNN_TYPE_VOID_PTR; }
constexpr cudnnBackendAttributeType_t kind_of(cudnnHandle_t) { return CUDNN_TYPE_HANDLE; }
constexpr cudnnBackendAttributeType_t kind_of(cudnnDataType_t) { return CUDNN_TYPE_DATA_TYPE; }
constexpr cudnnBackendAttributeType_t kind_of(cudnnConvolutionMode_t) { return CUDNN_TYPE_CONVOLUTION_MODE; }
constexpr cudnnBackendAttributeType_t kind_of(cudnnPointwiseMode_t) { return CUDNN_TYPE_POINTWISE_MODE; }
constexpr cudnnBackendAttributeType_t kind_of(cudnnReduceTensorOp_t) {
  return CUDNN_TYPE_REDUCTION_OPERATOR_TYPE;
}
constexpr cudnnBackendAttributeType_t kind_of(cudnnBackendHeurMode_t) { return CUDNN_TYPE_HEUR_MODE; }

class Descriptor {
 public:
  explicit Descriptor(cudnnBackendDescriptorType_t type) {
    DNN_CHECK(cudnnBackendCreateDescriptor(type, &d_));
  }
  Descriptor(Descriptor&& other) noexcept : d_(std::exchange(other.d_, nullptr)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(d_, other.d_);
    return *this;
  }
  ~Descriptor() {
    if (d_ != nullptr) cudnnBackendDestroyDescriptor(d_);
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, const std::vector<T>& values) {
    DNN_CHECK(
        cudnnBackendSetAttribute(d_, name, kind_of(T{}), static_cast<int64_t>(values.size()), values.data()));
  }
  template <class T>
  void set(cudnnBackendAttributeName_t name, const T& value) {
    DNN_CHECK(cudnnBackendSetAttribute(d_, name, kind_of(T{}), 1, &value));
  }
  void set(cudnnBackendAttributeName_t name, const Descriptor& other) {
    DNN_CHECK(cudnnBackendSetAttribute(d_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &other.d_));
  }
  void set(cudnnBackendAttributeName_t name, const std::vector<Descriptor>& others) {
    std::vector<cudnnBackendDescriptor_t> raw;
    for (const Descriptor& d : others) raw.push_back(d.d_);
    DNN_CHECK(cudnnBackendSetAttribute(d_, name, CUDNN_TYPE_BACKEND_DESCRIPTOR,
                                       static_cast<int64_t>(raw.size()), raw.data()));
  }
  void finish() { DNN_CHECK(cudnnBackendFinalize(d_)); }
  [[nodiscard]] cudnnBackendDescriptor_t raw() const { return d_; }

 private:
  cudnnBackendDescriptor_t d_ = nullptr;
};

}  // namespace gmail::cuda::dnn
