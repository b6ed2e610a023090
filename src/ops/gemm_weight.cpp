// Rearranged copies of constant weights, kept with the weight's storage. A storage may hold many weights (a
// whole model is one block), so a copy is known by its place, its form and its shape.
#include <atomic>
#include <map>
#include <mutex>
#include <tuple>

#include "ops/gemm.h"

namespace gmail::cpu {
namespace {

using Key = std::tuple<int64_t, std::string, DType, WeightForm>;

struct Kept {
  std::mutex mutex;
  std::map<Key, Tensor> copies;
};

constexpr size_t kSlot = 0;

std::shared_ptr<Kept> kept_with(Storage& storage) {
  std::shared_ptr<const void>& slot = storage.derived[kSlot];
  std::shared_ptr<const void> found = std::atomic_load(&slot);
  if (!found) {
    std::shared_ptr<const void> made = std::make_shared<Kept>();
    if (std::atomic_compare_exchange_strong(&slot, &found, made)) found = made;
  }
  return std::const_pointer_cast<Kept>(std::static_pointer_cast<const Kept>(found));
}

}  // namespace

template <class T>
std::shared_ptr<const T> kept_copy(const Tensor& w, WeightForm form, int64_t size,
                                   const std::function<void(T*)>& make) {
  Storage& storage = w.storage();
  if (!storage.constant) return nullptr;
  const std::shared_ptr<Kept> kept = kept_with(storage);
  const Key key(w.raw() - storage.data(), w.shape().str(), w.dtype(), form);
  const std::lock_guard lock(kept->mutex);
  Tensor& copy = kept->copies[key];
  if (!copy) {
    Tensor made = Tensor::empty({size}, w.dtype());
    make(made.data<T>());
    copy = made;
  }
  return {std::make_shared<const Tensor>(copy), copy.data<T>()};
}

template std::shared_ptr<const float> kept_copy(const Tensor&, WeightForm, int64_t,
                                                const std::function<void(float*)>&);
template std::shared_ptr<const double> kept_copy(const Tensor&, WeightForm, int64_t,
                                                 const std::function<void(double*)>&);

}  // namespace gmail::cpu
