// Kernels that touch what is not theirs.
#include "session.h"

namespace {

/** Runs one thread of a body with `p`, an allocation of 400 bytes, and says what the device ends with. */
void touches(int expected, const std::string& body) {
  Session session;
  const Handle kernel = session.load("extern \"C\" __global__ void kernel_main(float* p, int n) {\n" + body + "\n}");
  const Address p = session.allocate(400);
  session.launch(kernel, {}, {1}, Parameters(p, 100));
  CHECK(session.finish() == expected);
}

}  // namespace

SCENARIO(within, "memory: within") { touches(0, "for (int i = 0; i < n; i++) p[i] = i;"); }
SCENARIO(oneBehind, "memory: one element behind the end") { touches(700, "for (int i = 0; i <= n; i++) p[i] = i;"); }
SCENARIO(behindOfTable, "memory: one element behind the end, by a table") {
  struct Table {
    Address at[2];
    int length[2];
  };
  Session session;
  const Handle kernel = session.load(
      "struct Table { float* at[2]; int length[2]; };\n"
      "extern \"C\" __global__ void kernel_main(const __grid_constant__ Table table) {\n"
      "for (int i = 0; i <= table.length[1]; i++) table.at[1][i] = i;\n}");
  const Table table{{session.allocate(400), session.allocate(400)}, {100, 100}};
  session.launch(kernel, {}, {1}, Parameters(table));
  CHECK(session.finish() == 700);
}
SCENARIO(before, "memory: before the start") { touches(700, "p[-1] = 1;"); }
SCENARIO(farBehind, "memory: far behind the end") { touches(700, "p[n + 2000] = 1;"); }
SCENARIO(readsBehind, "memory: a read far behind the end") { touches(700, "p[0] = p[n + 2000];"); }
SCENARIO(readsOneBehind, "memory: a read one element behind the end") { touches(0, "p[0] = p[n];"); }
SCENARIO(betweenArrays, "a read between static shared arrays") {
  touches(0, "__shared__ float a[25], b[25]; a[n - 76] = 1.0f; b[n - 100] = 2.0f; p[0] = a[n - 75] + b[0];");
}
SCENARIO(nullPointer, "memory: a null pointer") {
  touches(700, "float* q = (float*)(unsigned long long)(n - 100); *q = 1;");
}
SCENARIO(freshMemory, "memory: an index that nobody wrote") {
  touches(700, "p[0] = p[(long long)*(unsigned*)p << 8];");
}
SCENARIO(misaligned, "memory: a misaligned vector") {
  touches(716, "const float4 v = *(const float4*)p; *(float4*)(p + n - 99) = v;");
}
SCENARIO(division, "a division by zero") { touches(719, "p[0] = n / (n - 100);"); }
SCENARIO(deepStack, "a stack that is too small") {
  touches(
      719,
      "__syncthreads(); volatile float big[70000]; for (int i = 0; i < 70000; i += 1000) big[i] = i; p[0] = big[n];");
}
SCENARIO(trapped, "a trap") { touches(719, "if (n > 0) __trap();"); }
SCENARIO(endless, "a loop that does not end") {
  touches(702, "volatile float* q = p; *q = 0.0f; while (*q == 0.0f) {}");
}
SCENARIO(spinning, "a thread that waits for another in vain") {
  Session session;
  const Handle kernel = session.load(R"(extern "C" __global__ void kernel_main(int* flag) {
    if (threadIdx.x == 0) while (atomicAdd(flag, 0) == 0) {}
    else atomicExch(flag, 1);
    __syncthreads();
  })");
  session.launch(kernel, {}, {32}, Parameters(session.upload(std::vector<int>{0})));
  CHECK(session.finish() == 702);
}
SCENARIO(misalignedRow, "ldmatrix of a misaligned row") {
  Session session;
  const Handle kernel = session.load(R"(extern "C" __global__ void kernel_main() {
    __shared__ __align__(16) unsigned short rows[400]; unsigned r[4]; tutti_ldmatrix_x4(r, rows + threadIdx.x * 8 + 1); })");
  session.launch(kernel, {}, {32}, Parameters());
  CHECK(session.finish() == 716);
}
SCENARIO(copyElsewhere, "cp.async into what is not shared") {
  touches(700, "tutti_cp_async_16(p, p + 4, 16); tutti_cp_async_commit(); tutti_cp_async_wait_group<0>();");
}
SCENARIO(behindDynamicShared, "a write behind dynamic shared memory") {
  Session session;
  const Handle kernel = session.load(
      R"(extern "C" __global__ void kernel_main() { extern __shared__ float values[]; values[threadIdx.x] = 1.0f; })");
  session.launch(kernel, {}, {65}, Parameters(), 256);
  CHECK(session.finish() == 700);
}

SCENARIO(afterRelease, "memory: after the release") {
  Session session;
  const Handle kernel = session.load(R"(extern "C" __global__ void kernel_main(float* p) { p[0] = 1.0f; })");
  const Address p = session.allocate(400);
  CU("cuMemFreeAsync", p, session.stream);
  session.launch(kernel, {}, {1}, Parameters(p));
  CHECK(session.finish() == 700);
}

SCENARIO(beforeStreamOrder, "memory: in another stream, before it is made") {
  Session session;
  const Handle kernel = session.load(R"(extern "C" __global__ void kernel_main(float* p) { p[0] = 1.0f; })");
  Handle other = nullptr;
  CU("cuStreamCreate", &other, 1u);
  const Address p = session.allocate(400);
  session.launch(kernel, {}, {1}, Parameters(p), 0, other);
  EXPECT(700, "cuStreamSynchronize", other);
}

SCENARIO(calls, "calls with what is not valid") {
  Session session;
  const Handle kernel = session.load(
      R"(extern "C" __global__ void __launch_bounds__(128, 2) kernel_main(float* p) { p[threadIdx.x] = 1.0f; })");
  const Address p = session.allocate(1024);
  CHECK(session.tryLaunch(kernel, {1}, {129}, Parameters(p)) == 701);
  CHECK(session.tryLaunch(kernel, {0}, {1}, Parameters(p)) == 1);
  CHECK(session.tryLaunch(kernel, {1, 65536}, {1}, Parameters(p)) == 1);
  CHECK(session.tryLaunch(kernel, {1}, {64, 32}, Parameters(p)) == 1);
  CHECK(session.tryLaunch(kernel, {1}, {1}, Parameters(p), 49 * 1024) == 1);
  std::vector<char> host(2048);
  EXPECT(1, "cuMemcpyHtoDAsync_v2", p, static_cast<const void*>(host.data()), std::size_t{1025}, session.stream);
  EXPECT(1, "cuMemcpyDtoHAsync_v2", static_cast<void*>(host.data()), p + 1024, std::size_t{1}, session.stream);
  EXPECT(1, "cuMemAlloc_v2", const_cast<Address*>(&p), std::size_t{0});
  CU("cuMemFreeAsync", p, session.stream);
  EXPECT(1, "cuMemFreeAsync", p, session.stream);
  EXPECT(1, "cuMemFree_v2", p);
  EXPECT(400, "cuStreamDestroy_v2", static_cast<Handle>(host.data()));
  EXPECT(400, "cuEventDestroy_v2", static_cast<Handle>(host.data()));
  CU("cuStreamSynchronize", session.stream);
  CU("cuCtxSetCurrent", static_cast<Handle>(nullptr));
  EXPECT(201, "cuStreamSynchronize", session.stream);
}

SCENARIO(images, "modules that are none") {
  Session session;
  Handle module = nullptr, function = nullptr;
  EXPECT(200, "cuModuleLoadData", &module,
         static_cast<const void*>("not an image, but long enough to be looked at as a header of one"));
  const Compiled other = compileText("extern \"C\" __global__ void kernel_main() {}", {"-arch=sm_80"});
  EXPECT(209, "cuModuleLoadData", &module, static_cast<const void*>(other.image.data()));
  const Compiled own = compileText("extern \"C\" __global__ void kernel_main() {}", {"-arch=sm_90a"});
  CU("cuModuleLoadData", &module, static_cast<const void*>(own.image.data()));
  EXPECT(500, "cuModuleGetFunction", &function, module, "nothing");
  CU("cuModuleUnload", module);
  EXPECT(400, "cuModuleGetFunction", &function, module, "kernel_main");
}

SCENARIO(texts, "texts that do not compile") {
  const Compiled bad = compileText("extern \"C\" __global__ void kernel_main(float* p) {\n  p[0] = nothing;\n}");
  CHECK(bad.result == 6 && bad.log.find("text.cu:2:") != std::string::npos &&
        bad.log.find("nothing") != std::string::npos);
  CHECK(compileText("#include <cmath>\n").result == 6);
  CHECK(compileText("", {"--gpu-architecture=sm_70"}).result == 5);
  CHECK(compileText("", {"-arch=sm_900"}).result == 5);
  CHECK(compileText("", {"-arch=compute_90"}).result == 5);
  const Compiled option = compileText("", {"--unknown"});
  CHECK(option.result == 5 && option.log.find("--unknown") != std::string::npos);
  const Compiled defined =
      compileText("static_assert(VALUE == 7 && __CUDA_ARCH__ == 860);", {"-arch=sm_86", "-DVALUE=7"});
  CHECK(defined.result == 0);
  const std::string text =
      "// __global__ void none(\n/* __global__ void nor(); */ extern \"C\" __global__ void a();\nconst char* b = "
      "\"__global__ void c()\";\n"
      "constexpr int threads = 64;\nextern \"C\" __launch_bounds__(threads * 2) __global__ void a() { extern "
      "__shared__ float x[]; }\n"
      "extern \"C\" __global__ void d() { extern __shared__ float x[]; extern __shared__ __align__(8) int y[]; }";
  CHECK(compileText(text).result == 0);
}
