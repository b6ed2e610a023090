// Protects the copies that a stream makes while the CPU goes on: the values arrive, a copy that somebody
// still reads is not overwritten, and pinned blocks are used again. For the device alone.
#include "catch.h"

#if GMAIL_CUDA
#include "core/reading.h"
#include "devices.h"
#include "gradcheck.h"

#if GMAIL_EMULATED
#include "emulator.h"
#endif

using namespace gmail;
using namespace gmail::test;

TEST_CASE("staging: what the host made arrives, in an arena tensor or in its place") {
  on_the_device([](const Context& ctx) {
    Tensor place;
    const void* where = nullptr;
    for (uint64_t i = 0; i < 5; ++i) {
      const Tensor x = random({3, 1000}, i, DType::float32),
                   ids = Tensor::full({7}, 40.0 + static_cast<double>(i), DType::int32);
      const Tensor there = ctx.here(x), ids_there = ctx.here(ids);
      CHECK(there.device() == Device::cuda);
      CHECK(close(there.to(Device::cpu), x, 0) == "");
      CHECK(ids_there.at(6) == 40 + static_cast<double>(i));
      ctx.put(place, x);
      if (i == 0) where = place.raw();
      CHECK(place.raw() == where);
      CHECK(close(place.to(Device::cpu), x, 0) == "");
      ctx.put(place, ctx.zeros({3, 1000}, DType::float32));
      CHECK(place.at(2999) == 0);
    }
    CHECK_FALSE(ctx.here(Tensor()));
    CHECK(ctx.here(place).raw() == place.raw());
    CHECK(ctx.full({5}, -1.5, DType::bfloat16).at(4) == -1.5);
    CHECK_THROWS_WITH(ctx.put(place, Tensor::zeros({2})), "[put] (2) of float32 into (3,1000) of float32");
  });
}

TEST_CASE("staging: a reading keeps its value, however many follow") {
  on_the_device([](const Context& ctx) {
    std::vector<Reading> readings;
    for (int i = 0; i < 6; ++i) readings.emplace_back(ctx, ctx.full({1}, i, DType::float32));
    const Reading exact(ctx, Tensor::full({1}, 0.1, DType::float64).to(Device::cuda));
    for (int i = 0; i < 6; ++i) CHECK(readings[static_cast<size_t>(i)].get() == i);
    CHECK(exact.get() == 0.1);
    CHECK_THROWS_WITH(Reading(ctx, ctx.zeros({2}, DType::float32)),
                      "[reading] expected one element, got (2)");
    CHECK_THROWS_WITH(Reading().get(), "[reading] nothing was read");
  });
}

#if GMAIL_EMULATED
TEST_CASE("staging: nothing is allocated or waited for twice") {
  const Context& ctx = device_context();
  const Tensor x = random({100}, 1, DType::float32);
  const auto both_ways = [&] { return Reading(ctx, ctx.here(x).rows(9, 10)).get(); };
  CHECK(both_ways() == x.at(9));
  const emulator::Counts before = emulator::counts();
  for (int i = 0; i < 20; ++i) CHECK(both_ways() == x.at(9));
  CHECK(emulator::counts().allocations == before.allocations);
  CHECK(emulator::counts().synchronisations == before.synchronisations);
  CHECK(emulator::counts().pageable_copies == before.pageable_copies);
  CHECK(emulator::counts().on_default_stream == before.on_default_stream);
}
#endif
#endif
