// Protects the cache of a decoder: rows move as told, the new one comes behind them, what lies further back
// stays, and no more is seen than is there. The position is read when the op runs.
#include "catch.h"

#include "core/dispatch.h"
#include "devices.h"
#include "gradcheck.h"
#include "ops/kv_cache.h"

using namespace gmail;
using namespace gmail::test;

namespace {
Tensor ints(const std::vector<int32_t>& values) {
  return Tensor::from(values, {static_cast<int64_t>(values.size())});
}
}  // namespace

TEST_CASE("kv_cache: rows move and one is appended", "[device]") {
  on_each_device([](const Context& ctx) {
    for (const int64_t C : {7, 8})  // one by one, and 16 bytes at a time
      for (const int32_t n : {0, 2, 4}) {
        const Tensor old = random({3, 6, C}, 1, DType::float32), row = random({4, 1, C}, 2, DType::float32);
        const Tensor before = random({4, 5, C}, 3, DType::float32);
        const std::vector<int32_t> source{2, 0, 2, 7};  // the last is no row: it stays
        Tensor to;
        ctx.put(to, before.clone());
        GMAIL_RUN(ctx, kv_append, to, ctx.here(old), ctx.here(ints(source)), ctx.here(row),
                  ctx.here(ints({n})));
        const Tensor y = to.to(Device::cpu);
        bool right = true;
        for (int64_t r = 0; r < 4; ++r)
          for (int64_t t = 0; t < 5; ++t)
            for (int64_t c = 0; c < C; ++c) {
              const int64_t i = (r * 5 + t) * C + c;
              const double wanted = t == n ? row.at(r * C + c)
                                    : t > n || r == 3
                                        ? before.at(i)
                                        : old.at((source[static_cast<size_t>(r)] * 6 + t) * C + c);
              right = right && y.at(i) == wanted;
            }
        INFO("C " << C << ", position " << n);
        CHECK(right);
      }
  });
}

TEST_CASE("kv_cache: in place one row is appended, or none", "[device]") {
  on_each_device([](const Context& ctx) {
    const Tensor before = random({2, 3, 5}, 1, DType::float32), row = random({2, 1, 5}, 2, DType::float32);
    Tensor to;
    ctx.put(to, before.clone());
    GMAIL_RUN(ctx, kv_append, to, Tensor(), Tensor(), ctx.here(row), ctx.here(ints({1})));
    GMAIL_RUN(ctx, kv_append, to, Tensor(), Tensor(), ctx.here(row), ctx.here(ints({3})));  // no room: stays
    const Tensor y = to.to(Device::cpu);
    CHECK(y.at(5 + 2) == row.at(2));
    CHECK(y.at(15 + 5 + 4) == row.at(5 + 4));
    CHECK(y.at(4) == before.at(4));
    CHECK(y.at(10) == before.at(10));
    Tensor seen;
    ctx.put(seen, Tensor::zeros({2, 3}, DType::int32));
    GMAIL_RUN(ctx, kv_seen, seen, ctx.here(ints({1})));
    for (int64_t i = 0; i < 6; ++i) CHECK(seen.to(Device::cpu).at(i) == (i % 3 <= 1 ? 1 : 0));
  });
}

TEST_CASE("kv_cache: what does not fit is refused") {
  Tensor to = Tensor::zeros({2, 3, 4});
  const Tensor at = ints({0});
  CHECK_THROWS_WITH(cpu::kv_append(to, Tensor(), Tensor(), Tensor::zeros({2, 4}), at),
                    Contains("[kv_cache] rows (2,4) for a cache (2,3,4)"));
  CHECK_THROWS_WITH(cpu::kv_append(to, Tensor::zeros({2, 3, 5}), ints({0, 1}), Tensor(), at),
                    Contains("[kv_cache] from (2,3,5)"));
  CHECK_THROWS_WITH(cpu::kv_append(to, to, ints({0, 1}), Tensor(), at),
                    Contains("rows cannot move within one cache"));
}
