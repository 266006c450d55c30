// Streams, events, graphs, pools and devices.
#include "session.h"

namespace {

const char* const addOne =
    R"(extern "C" __global__ void kernel_main(float* p, float value) { p[threadIdx.x] += value; })";

/** A slow upload in one stream and a kernel in another, with an event between them or without. */
bool ordered(bool waits) {
  Session session;
  const Handle kernel = session.load(addOne);
  Handle copies = nullptr, event = nullptr;
  CU("cuStreamCreate", &copies, 1u);
  CU("cuEventCreate", &event, 2u);
  const Address p = session.upload(std::vector<float>(32, 1.0f));
  CU("cuStreamSynchronize", session.stream);
  const std::vector<float> values(32, 10.0f);
  CU("cuMemcpyHtoDAsync_v2", p, static_cast<const void*>(values.data()), std::size_t{128}, copies);
  CU("cuEventRecord", event, copies);
  if (waits) CU("cuStreamWaitEvent", session.stream, event, 0u);
  session.launch(kernel, {}, {32}, Parameters(p, 1.0f));
  return session.download<float>(p, 32)[5] == 11.0f;
}

}  // namespace

SCENARIO(eventOrder, "an event between streams") { CHECK(ordered(true)); }
// Under settings that show it: a lazy stream, or a slow one.
SCENARIO(missingEvent, "a missing event") { CHECK(!ordered(false)); }

SCENARIO(events, "events") {
  Session session;
  Handle start = nullptr, end = nullptr, plain = nullptr;
  CU("cuEventCreate", &start, 0u);
  CU("cuEventCreate", &end, 0u);
  CU("cuEventCreate", &plain, 2u);
  CU("cuEventQuery", plain);
  float milliseconds = -1;
  EXPECT(400, "cuEventElapsedTime", &milliseconds, start, end);
  CU("cuEventRecord", start, session.stream);
  CU("cuLaunchHostFunc", session.stream, +[](void*) {}, static_cast<void*>(nullptr));
  CU("cuEventRecord", end, session.stream);
  CU("cuEventSynchronize", end);
  CU("cuEventQuery", end);
  CU("cuEventElapsedTime", &milliseconds, start, end);
  CHECK(milliseconds >= 0);
  CU("cuEventRecord", plain, session.stream);
  EXPECT(400, "cuEventElapsedTime", &milliseconds, start, plain);
  CU("cuStreamSynchronize", session.stream);
  CU("cuStreamQuery", session.stream);
}

SCENARIO(lazyPolling, "a lazy stream that is asked") {
  Session session;
  const Handle kernel = session.load(addOne);
  const Address p = session.upload(std::vector<float>(32, 1.0f));
  Handle event = nullptr;
  CU("cuEventCreate", &event, 2u);
  session.launch(kernel, {}, {32}, Parameters(p, 1.0f));
  CU("cuEventRecord", event, session.stream);
  while (call("cuEventQuery", event) == 600) {
  }
  CHECK(session.download<float>(p, 32)[0] == 2.0f);
}

SCENARIO(capture, "capture and replay") {
  Session session;
  const Handle kernel = session.load(addOne);
  Handle joined = nullptr, fork = nullptr, join = nullptr, graph = nullptr, executable = nullptr;
  CU("cuStreamCreate", &joined, 1u);
  CU("cuEventCreate", &fork, 2u);
  CU("cuEventCreate", &join, 2u);
  const Address p = session.upload(std::vector<float>(32, 0.0f)), q = session.upload(std::vector<float>(32, 5.0f));
  CU("cuStreamBeginCapture_v2", session.stream, 1);
  session.launch(kernel, {}, {32}, Parameters(p, 1.0f));
  CU("cuEventRecord", fork, session.stream);
  CU("cuStreamWaitEvent", joined, fork, 0u);
  session.launch(kernel, {}, {32}, Parameters(q, 2.0f), 0, joined);
  CU("cuEventRecord", join, joined);
  CU("cuStreamWaitEvent", session.stream, join, 0u);
  CU("cuMemcpyDtoDAsync_v2", p + 64, q, std::size_t{64}, session.stream);
  CU("cuStreamEndCapture", session.stream, &graph);
  CU("cuGraphInstantiateWithFlags", &executable, graph, 0ull);
  CU("cuGraphDestroy", graph);
  // Nothing has run yet.
  CHECK(session.download<float>(p, 32)[0] == 0.0f);
  for (int i = 0; i < 3; i++) CU("cuGraphLaunch", executable, session.stream);
  const std::vector<float> result = session.download<float>(p, 32);
  CHECK(result[0] == 3.0f && result[20] == 11.0f);
  // The stream that joined is its own again.
  session.launch(kernel, {}, {32}, Parameters(q, 0.0f), 0, joined);
  CU("cuStreamSynchronize", joined);
  CU("cuGraphExecDestroy", executable);
  EXPECT(400, "cuGraphLaunch", executable, session.stream);
}

SCENARIO(spoiledCapture, "a capture that is spoiled") {
  Session session;
  Handle graph = nullptr;
  CU("cuStreamBeginCapture_v2", session.stream, 1);
  EXPECT(900, "cuStreamSynchronize", session.stream);
  EXPECT(901, "cuStreamEndCapture", session.stream, &graph);
  CU("cuStreamSynchronize", session.stream);
  CU("cuStreamBeginCapture_v2", session.stream, 1);
  Address address = 0;
  EXPECT(900, "cuMemAlloc_v2", &address, std::size_t{64});
  EXPECT(901, "cuStreamEndCapture", session.stream, &graph);
  EXPECT(1, "cuStreamEndCapture", session.stream, &graph);
}

SCENARIO(pools, "memory pools") {
  Session session;
  struct {
    int allocation = 1, handles = 0, type = 1, id = 0;
    char rest[72] = {};
  } properties;
  Handle pool = nullptr;
  CU("cuMemPoolCreate", &pool, &properties);
  std::uint64_t threshold = ~0ull, value = 0;
  CU("cuMemPoolSetAttribute", pool, 4, &threshold);
  std::size_t before = 0, now = 0, total = 0;
  CU("cuMemGetInfo_v2", &before, &total);
  Address p = 0;
  CU("cuMemAllocFromPoolAsync", &p, std::size_t{1000000}, pool, session.stream);
  CHECK(p % 256 == 0);
  CU("cuMemFreeAsync", p, session.stream);
  CU("cuStreamSynchronize", session.stream);
  CU("cuMemPoolGetAttribute", pool, 7, &value);
  CHECK(value == 0);
  CU("cuMemPoolGetAttribute", pool, 8, &value);
  CHECK(value == 1000000);
  // The pool keeps what it has until it is trimmed.
  CU("cuMemGetInfo_v2", &now, &total);
  CHECK(now == before - 1000000);
  CU("cuMemPoolTrimTo", pool, std::size_t{0});
  CU("cuMemGetInfo_v2", &now, &total);
  CHECK(now == before);
  CU("cuMemPoolDestroy", pool);
}

SCENARIO(memoryLimit, "the limit of memory") {
  // Started with 1 MB.
  Session session;
  Address p = 0, q = 0;
  CU("cuMemAlloc_v2", &p, std::size_t{600000});
  EXPECT(2, "cuMemAlloc_v2", &q, std::size_t{600000});
  // What is being released counts no more, once it has been.
  CU("cuMemFreeAsync", p, session.stream);
  CU("cuMemAlloc_v2", &q, std::size_t{600000});
  CU("cuMemFree_v2", q);
}

SCENARIO(pinned, "pinned memory") {
  Session session;
  void* start = nullptr;
  CU("cuMemHostAlloc", &start, std::size_t{4096}, 0u);
  std::memset(start, 1, 4096);
  const Address p = session.allocate(4096);
  CU("cuMemcpyHtoDAsync_v2", p, static_cast<const void*>(start), std::size_t{4096}, session.stream);
  CU("cuMemsetD32Async", p, 7u, std::size_t{2}, session.stream);
  CU("cuMemcpyDtoHAsync_v2", start, p, std::size_t{4096}, session.stream);
  CU("cuStreamSynchronize", session.stream);
  CHECK(static_cast<int*>(start)[1] == 7 && static_cast<int*>(start)[2] == 0x01010101);
  CU("cuMemFreeHost", start);
  EXPECT(1, "cuMemFreeHost", start);
}

SCENARIO(devices, "two devices") {
  Session first(0), second(1);
  int count = 0, peer = 0;
  CU("cuDeviceGetCount", &count);
  CU("cuDeviceCanAccessPeer", &peer, 0, 1);
  CHECK(count == 2 && peer == 1);
  EXPECT(101, "cuDeviceGet", &count, 2);
  const Address q = second.upload(std::vector<float>(32, 2.0f));
  CU("cuStreamSynchronize", second.stream);
  CU("cuCtxSetCurrent", first.context);
  const Address p = first.upload(std::vector<float>(32, 1.0f));
  EXPECT(400, "cuStreamSynchronize", second.stream);
  CU("cuMemcpyPeerAsync", p, first.context, q, second.context, std::size_t{128}, first.stream);
  CHECK(first.download<float>(p, 32)[31] == 2.0f);
}

SCENARIO(leaks, "what is left behind") {
  Session session;
  session.load(addOne);
  void* start = nullptr;
  CU("cuMemHostAlloc", &start, std::size_t{4096}, 0u);
  session.allocate(64);
  CU("cuStreamSynchronize", session.stream);
}

SCENARIO(description, "the description of a device") {
  CU("cuInit", 0u);
  int value = 0, version = 0;
  CU("cuDeviceGetAttribute", &value, 75, 0);
  CHECK(value == 8);
  CU("cuDeviceGetAttribute", &value, 76, 0);
  CHECK(value == 6);
  CU("cuDeviceGetAttribute", &value, 97, 0);
  CHECK(value == 99 * 1024);
  CU("cuDriverGetVersion", &version);
  CHECK(version == 13000);
  const char* name = nullptr;
  CU("cuGetErrorName", 700, &name);
  CHECK(std::string(name) == "CUDA_ERROR_ILLEGAL_ADDRESS");
  EXPECT(1, "cuGetErrorName", 12345, &name);
  CHECK(std::string(reinterpret_cast<const char* (*)()>(symbol("cuda", "tuttiEmulation"))()).find("emulator") !=
        std::string::npos);
}

SCENARIO(manyLaunches, "many launches") {
  Session session;
  const Handle kernel = session.load(addOne);
  const Address p = session.upload(std::vector<float>(32, 0.0f));
  for (int i = 0; i < 10000; i++) session.launch(kernel, {}, {32}, Parameters(p, 1.0f));
  CHECK(session.download<float>(p, 32)[31] == 10000.0f);
}
