// From the edges and nodes of a graph to cuDNN's descriptors. For dnn.cpp alone.
#pragma once

#include "dnn.h"
#include "dnn_descriptor.h"

namespace gmail::cuda::dnn {

inline cudnnDataType_t data_type(Type t) {
  switch (t) {
    case Type::float32:
      return CUDNN_DATA_FLOAT;
    case Type::bfloat16:
      return CUDNN_DATA_BFLOAT16;
    case Type::int32:
      return CUDNN_DATA_INT32;
    case Type::boolean:
      return CUDNN_DATA_BOOLEAN;
  }
  throw Error("[cudnn] unknown type");
}

inline Descriptor tensor(const Edge& e, size_t uid) {
  Descriptor d(CUDNN_BACKEND_TENSOR_DESCRIPTOR);
  d.set(CUDNN_ATTR_TENSOR_UNIQUE_ID, static_cast<int64_t>(uid + 1));
  d.set(CUDNN_ATTR_TENSOR_DATA_TYPE, data_type(e.type));
  d.set(CUDNN_ATTR_TENSOR_DIMENSIONS, e.dims);
  d.set(CUDNN_ATTR_TENSOR_STRIDES, e.strides);
  d.set(CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, int64_t{16});
  d.set(CUDNN_ATTR_TENSOR_IS_VIRTUAL, e.role == Edge::Role::within);
  d.set(CUDNN_ATTR_TENSOR_IS_BY_VALUE, e.role == Edge::Role::constant);
  d.finish();
  return d;
}

// The attribute names of the three convolutions.
struct ConvolutionNames {
  cudnnBackendDescriptorType_t type;
  cudnnBackendAttributeName_t convolution, in0, in1, out, alpha, beta;
};
inline ConvolutionNames names_of(Op op) {
  if (op == Op::convolution)
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
  if (op == Op::input_gradient)
    return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
            CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
  return {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
          CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};
}

using Edges = std::vector<Descriptor>;

inline Descriptor convolution(const Node& n, const Edges& edges) {
  Descriptor c(CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR);
  c.set(CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, static_cast<int64_t>(n.stride.size()));
  c.set(CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  c.set(CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_CROSS_CORRELATION);
  c.set(CUDNN_ATTR_CONVOLUTION_DILATIONS, std::vector<int64_t>(n.stride.size(), 1));
  c.set(CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, n.stride);
  c.set(CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, n.pad);
  c.set(CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, n.pad);
  c.finish();
  const ConvolutionNames names = names_of(n.op);
  Descriptor d(names.type);
  d.set(names.convolution, c);
  d.set(names.in0, edges[n.in[0]]);
  d.set(names.in1, edges[n.in[1]]);
  d.set(names.out, edges[n.out]);
  d.set(names.alpha, 1.0F);
  d.set(names.beta, 0.0F);
  d.finish();
  return d;
}

inline Descriptor matmul(const Node& n, const Edges& edges) {
  Descriptor m(CUDNN_BACKEND_MATMUL_DESCRIPTOR);
  m.set(CUDNN_ATTR_MATMUL_COMP_TYPE, CUDNN_DATA_FLOAT);
  m.finish();
  Descriptor d(CUDNN_BACKEND_OPERATION_MATMUL_DESCRIPTOR);
  d.set(CUDNN_ATTR_OPERATION_MATMUL_DESC, m);
  d.set(CUDNN_ATTR_OPERATION_MATMUL_ADESC, edges[n.in[0]]);
  d.set(CUDNN_ATTR_OPERATION_MATMUL_BDESC, edges[n.in[1]]);
  d.set(CUDNN_ATTR_OPERATION_MATMUL_CDESC, edges[n.out]);
  d.finish();
  return d;
}

inline Descriptor transposed(const Node& n, const Edges& edges) {
  Descriptor d(CUDNN_BACKEND_OPERATION_RESHAPE_DESCRIPTOR);
  d.set(CUDNN_ATTR_OPERATION_RESHAPE_XDESC, edges[n.in[0]]);
  d.set(CUDNN_ATTR_OPERATION_RESHAPE_YDESC, edges[n.out]);
  d.finish();
  return d;
}

inline Descriptor reduction(const Node& n, const Edges& edges) {
  Descriptor r(CUDNN_BACKEND_REDUCTION_DESCRIPTOR);
  r.set(CUDNN_ATTR_REDUCTION_COMP_TYPE, CUDNN_DATA_FLOAT);
  r.set(CUDNN_ATTR_REDUCTION_OPERATOR,
        n.op == Op::sum_over ? CUDNN_REDUCE_TENSOR_ADD : CUDNN_REDUCE_TENSOR_MAX);
  r.finish();
  Descriptor d(CUDNN_BACKEND_OPERATION_REDUCTION_DESCRIPTOR);
  d.set(CUDNN_ATTR_OPERATION_REDUCTION_DESC, r);
  d.set(CUDNN_ATTR_OPERATION_REDUCTION_XDESC, edges[n.in[0]]);
  d.set(CUDNN_ATTR_OPERATION_REDUCTION_YDESC, edges[n.out]);
  d.finish();
  return d;
}

inline cudnnPointwiseMode_t pointwise_mode(Op op) {
  switch (op) {
    case Op::add:
      return CUDNN_POINTWISE_ADD;
    case Op::subtract:
      return CUDNN_POINTWISE_SUB;
    case Op::multiply:
      return CUDNN_POINTWISE_MUL;
    case Op::divide:
      return CUDNN_POINTWISE_DIV;
    case Op::exp:
      return CUDNN_POINTWISE_EXP;
    case Op::log:
      return CUDNN_POINTWISE_LOG;
    case Op::index:
      return CUDNN_POINTWISE_GEN_INDEX;
    case Op::at_least:
      return CUDNN_POINTWISE_CMP_GE;
    case Op::select:
      return CUDNN_POINTWISE_BINARY_SELECT;
    default:
      throw Error("[cudnn] not a pointwise operation");
  }
}

// The precision in which a pointwise operation computes.
inline cudnnDataType_t precision(const Node& n) {
  if (n.op == Op::index) return CUDNN_DATA_INT32;
  return n.op == Op::at_least ? CUDNN_DATA_BOOLEAN : CUDNN_DATA_FLOAT;
}

inline Descriptor pointwise(const Node& n, const Edges& edges) {
  Descriptor p(CUDNN_BACKEND_POINTWISE_DESCRIPTOR);
  p.set(CUDNN_ATTR_POINTWISE_MODE, pointwise_mode(n.op));
  p.set(CUDNN_ATTR_POINTWISE_MATH_PREC, precision(n));
  if (n.op == Op::index) p.set(CUDNN_ATTR_POINTWISE_AXIS, n.axis);
  p.finish();
  Descriptor d(CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR);
  d.set(CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, p);
  d.set(CUDNN_ATTR_OPERATION_POINTWISE_XDESC, edges[n.in[0]]);
  if (n.in.size() > 1) d.set(CUDNN_ATTR_OPERATION_POINTWISE_BDESC, edges[n.in[1]]);
  if (n.in.size() > 2) d.set(CUDNN_ATTR_OPERATION_POINTWISE_TDESC, edges[n.in[2]]);
  d.set(CUDNN_ATTR_OPERATION_POINTWISE_YDESC, edges[n.out]);
  d.finish();
  return d;
}

inline Descriptor operation(const Node& n, const Edges& edges) {
  switch (n.op) {
    case Op::convolution:
    case Op::input_gradient:
    case Op::weight_gradient:
      return convolution(n, edges);
    case Op::matmul:
      return matmul(n, edges);
    case Op::transpose:
      return transposed(n, edges);
    case Op::maximum_over:
    case Op::sum_over:
      return reduction(n, edges);
    default:
      return pointwise(n, edges);
  }
}

}  // namespace gmail::cuda::dnn
