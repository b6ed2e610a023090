#include "autograd/functions.h"
#include "core/dispatch.h"
#include "ops/concat.h"
#include "ops/embedding.h"
#include "ops/gather_rows.h"
#include "ops/resample.h"

namespace gmail {

Var embedding(Tape& tape, const Var& table, const Tensor& ids_anywhere) {
  if (tape.logging())
    return tape.log("embedding", "embedding.h (1-2)", {table},
                    [=](Tape& t, const Vars& v) { return embedding(t, v[0], ids_anywhere); });
  const Tensor ids = tape.ctx().here(ids_anywhere);
  std::vector<int64_t> sizes(ids.shape().sizes().begin(), ids.shape().sizes().end());
  sizes.push_back(table.size(-1));
  const DType type = table.dtype() == DType::float32 ? tape.ctx().precision : table.dtype();
  Tensor y = tape.empty(Shape(sizes), type);
  GMAIL_RUN(tape.ctx(), embedding_forward, y, table.value, ids);
  return tape.record(y, {table}, [=, &tape](const Tensor& dy) {
    const Grad dtable = tape.want(table);
    GMAIL_RUN(tape.ctx(), embedding_backward, dtable, dy, ids);
  });
}

Var gather_rows(Tape& tape, const Var& x, const Tensor& index_anywhere) {
  if (tape.logging())
    return tape.log("gather_rows", "gather_rows.h (1-2)", {x},
                    [=](Tape& t, const Vars& v) { return gather_rows(t, v[0], index_anywhere); });
  const Tensor index = tape.ctx().here(index_anywhere);
  Tensor y = tape.empty({x.size(0), x.size(-1)}, x.dtype());
  GMAIL_RUN(tape.ctx(), gather_rows_forward, y, x.value, index);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), gather_rows_backward, dx, dy, index);
  });
}

Var concat(Tape& tape, const std::vector<Var>& parts, int dim) {
  if (tape.logging())
    return tape.log("concat", "concat.h (1-2)", parts,
                    [=](Tape& t, const Vars& v) { return concat(t, v, dim); });
  GMAIL_CHECK(!parts.empty(), "[concat] nothing to join");
  std::vector<Tensor> values;
  int64_t total = 0;
  for (const Var& part : parts) {
    values.push_back(part.value);
    total += part.size(dim);
  }
  Tensor y = tape.empty(parts[0].shape().with(dim, total), parts[0].dtype());
  GMAIL_RUN(tape.ctx(), concat_forward, y, values, dim);
  return tape.record(y, parts, [=, &tape](const Tensor& dy) {
    int64_t begin = 0;
    for (const Var& part : parts) {
      const Grad dpart = tape.want(part);
      GMAIL_RUN(tape.ctx(), concat_backward, dpart, dy, dim, begin);
      begin += part.size(dim);
    }
  });
}

Var slice(Tape& tape, const Var& x, int dim, int64_t begin, int64_t end) {
  if (tape.logging())
    return tape.log("slice", "concat.h (1-2)", {x},
                    [=](Tape& t, const Vars& v) { return slice(t, v[0], dim, begin, end); });
  GMAIL_CHECK(0 <= begin && begin <= end && end <= x.size(dim), "[slice] ", begin, " to ", end,
              " of dimension ", dim, " of ", x.shape());
  Tensor y = tape.empty(x.shape().with(dim, end - begin), x.dtype());
  GMAIL_RUN(tape.ctx(), slice_forward, y, x.value, dim, begin);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), slice_backward, dx, dy, dim, begin);
  });
}

Var reshape(Tape& tape, const Var& x, const Shape& shape) {
  if (tape.logging())
    return tape.log("reshape", "no work", {x},
                    [=](Tape& t, const Vars& v) { return reshape(t, v[0], shape); });
  return tape.record(x.value.reshape(shape), {x}, [=, &tape](const Tensor& dy) { tape.pass(x, dy); });
}

Var from_host(Tape& tape, const Var& x) {
  if (x.tracked()) return x;
  const Var there(tape.ctx().here(x.value));
  return there.dtype() == DType::float32 ? cast(tape, there, tape.ctx().precision) : there;
}

Var upsample_nearest(Tape& tape, const Var& x) {
  if (tape.logging())
    return tape.log("upsample_nearest", "resample.h (1-2)", {x},
                    [=](Tape& t, const Vars& v) { return upsample_nearest(t, v[0]); });
  Tensor y = tape.empty({x.size(0), 2 * x.size(1), 2 * x.size(2), x.size(3)}, x.dtype());
  GMAIL_RUN(tape.ctx(), upsample_nearest_forward, y, x.value);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), upsample_nearest_backward, dx, dy);
  });
}

Var pixel_shuffle(Tape& tape, const Var& x, int r) {
  if (tape.logging())
    return tape.log("pixel_shuffle", "resample.h (3)", {x},
                    [=](Tape& t, const Vars& v) { return pixel_shuffle(t, v[0], r); });
  GMAIL_CHECK(r >= 1 && x.size(3) % (r * r) == 0, "[pixel_shuffle] the channels of ", x.shape(),
              " are no multiple of ", r, " squared");
  Tensor y = tape.empty({x.size(0), x.size(1) * r, x.size(2) * r, x.size(3) / (r * r)}, x.dtype());
  GMAIL_RUN(tape.ctx(), pixel_shuffle_forward, y, x.value, r);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), pixel_shuffle_backward, dx, dy, r);
  });
}

Var pixel_unshuffle(Tape& tape, const Var& x, int r) {
  if (tape.logging())
    return tape.log("pixel_unshuffle", "resample.h (4)", {x},
                    [=](Tape& t, const Vars& v) { return pixel_unshuffle(t, v[0], r); });
  GMAIL_CHECK(r >= 1 && x.size(1) % r == 0 && x.size(2) % r == 0, "[pixel_unshuffle] the grid of ", x.shape(),
              " is no multiple of ", r);
  Tensor y = tape.empty({x.size(0), x.size(1) / r, x.size(2) / r, x.size(3) * r * r}, x.dtype());
  GMAIL_RUN(tape.ctx(), pixel_unshuffle_forward, y, x.value, r);
  return tape.record(y, {x}, [=, &tape](const Tensor& dy) {
    const Grad dx = tape.want(x);
    GMAIL_RUN(tape.ctx(), pixel_unshuffle_backward, dx, dy, r);
  });
}

}  // namespace gmail
