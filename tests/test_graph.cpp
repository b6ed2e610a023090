// Protects recorded work: it is done when it is launched and not before, with what its inputs hold then, and
// what a graph cannot hold is refused. For the device alone.
#include "catch.h"

#if GMAIL_CUDA
#include "core/device_memory.h"
#include "core/dispatch.h"
#include "devices.h"
#include "gradcheck.h"
#include "ops/broadcast.h"
#include "ops/linear.h"

using namespace gmail;
using namespace gmail::test;

TEST_CASE("graph: a launch computes from what the inputs hold then") {
  on_the_device([](const Context& ctx) {
    Tensor x, y = Tensor::zeros({2, 3}, DType::float32, Device::cuda);
    const Tensor w = random({3, 4}, 1, DType::float32), w_there = w.to(Device::cuda);
    ctx.put(x, random({2, 4}, 2, DType::float32));
    const auto work = [&] {
      ctx.fill(y, 7);
      GMAIL_RUN(ctx, linear_forward, y, x, w_there, Tensor(), Tensor(), 1.0);
    };
    work();  // what the library allocates at its first call it has then
    const Tensor first = y.clone();
    y.fill(0);
    std::shared_ptr<cuda::CapturedGraph> graph;
    cuda::capture(graph, ctx.stream, work);
    CHECK(y.at(5) == 0);
    cuda::replay(*graph, ctx.stream);
    cuda::wait_for(ctx.stream);
    CHECK(close(y.to(Device::cpu), first.to(Device::cpu), 0) == "");
    ctx.put(x, random({2, 4}, 3, DType::float32));
    cuda::replay(*graph, ctx.stream);
    cuda::wait_for(ctx.stream);
    const Tensor second = y.clone();
    work();
    CHECK(close(y.to(Device::cpu), second.to(Device::cpu), 0) == "");
    CHECK(close(second.to(Device::cpu), first.to(Device::cpu), 0.01) != "");
  });
}

TEST_CASE("graph: what it cannot hold is refused, and the stream goes on") {
  on_the_device([](const Context& ctx) {
    std::shared_ptr<cuda::CapturedGraph> graph;
    const auto refused = [&](const std::function<void()>& work) {
      CHECK_THROWS(cuda::capture(graph, ctx.stream, work));
      CHECK(graph == nullptr);
      CHECK(ctx.full({3}, 2, DType::float32).at(2) == 2);
    };
    const Tensor host = Tensor::zeros({5});
    Tensor there = host.to(Device::cuda);
    refused([&] { (void)Tensor::empty({12345}, DType::float32, Device::cuda); });
    refused([&] { cuda::wait_for(ctx.stream); });
    refused([&] { there.fill(1); });  // on the default stream
    refused([&] { ctx.put(there, host); });
    CHECK_THROWS_WITH(cuda::capture(graph, ctx.stream, [&] { ctx.put(there, host); }),
                      Contains("a copy between host and device inside a graph"));
  });
}
#endif
