#include "core/kept_copy.h"

#include <sys/mman.h>
#include <unistd.h>

#include <map>
#include <mutex>
#include <tuple>

namespace gmail {

struct KeptCopies {
  std::mutex mutex;
  std::map<std::tuple<std::string_view, DType, std::ptrdiff_t, Shape, DType>, Tensor> of;
};

namespace {
std::shared_ptr<KeptCopies> copies_of(Storage& storage) {
  static std::mutex mutex;
  const std::lock_guard lock(mutex);
  if (!storage.copies) storage.copies = std::make_shared<KeptCopies>();
  return storage.copies;
}
// The pages that hold nothing but `t`, of a mapped file, leave the memory of this process: who reads them
// again finds them in the file. Else a model whose weights are all kept as copies would take twice its size.
void let_go_of_pages(const Tensor& t) {
  const auto page = static_cast<uintptr_t>(sysconf(_SC_PAGESIZE)),
             begin = reinterpret_cast<uintptr_t>(t.raw());
  const uintptr_t first = (begin + page - 1) / page * page, last = (begin + t.bytes()) / page * page;
  if (first < last) madvise(t.raw() + (first - begin), last - first, MADV_DONTNEED);
}

}  // namespace

Tensor kept_copy(const Tensor& t, std::string_view form, DType type, const std::function<Tensor()>& make) {
  Storage& storage = t.storage();
  if (!storage.constant) return {};
  const std::shared_ptr<KeptCopies> kept = copies_of(storage);
  const std::lock_guard lock(kept->mutex);
  Tensor& copy = kept->of[{form, type, t.raw() - storage.data(), t.shape(), t.dtype()}];
  if (!copy) {
    copy = make();
    if (storage.read_only()) let_go_of_pages(t);
  }
  return copy;
}

}  // namespace gmail
