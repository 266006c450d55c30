// cuBLASLt's interface. Products are computed by plain loops in the order of the stream.
#include <dlfcn.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <string>

#include "../common/settings.h"
#include "product.h"

using namespace tutti_blas;

namespace {

enum Status : int { success = 0, notInitialized = 1, invalidValue = 7, executionFailed = 13, notSupported = 15 };
constexpr int illegalAddress = 700;

constexpr std::uint64_t algorithmMark = 0x7475747469626c61;

struct Preference {
  std::size_t workspaceBytes = 0;
};

struct Algorithm {
  std::uint64_t data[8];
};

struct HeuristicResult {
  Algorithm algorithm;
  std::size_t workspaceBytes;
  int state;
  float waves;
  int reserved[4];
};
static_assert(sizeof(HeuristicResult) == 96, "cuBLASLt's layout");

/** Private functions of the emulated driver, which lies beside this library. */
template <class F>
F driverFunction(const char* name) {
  Dl_info own;
  if (dladdr(reinterpret_cast<void*>(&driverFunction<F>), &own) == 0) return nullptr;
  const std::string path = own.dli_fname;
  void* const driver = dlopen((path.substr(0, path.rfind('/') + 1) + "libcuda.so.1").c_str(), RTLD_NOW | RTLD_LOCAL);
  return driver == nullptr ? nullptr : reinterpret_cast<F>(dlsym(driver, name));
}

bool accessible(const void* start, std::size_t bytes) {
  static const auto ask = driverFunction<int (*)(const void*, std::size_t)>("tuttiEmulatorAccessible");
  return bytes == 0 || (ask != nullptr && ask(start, bytes) != 0);
}

int runProduct(void* data) {
  const auto& product = *static_cast<const Product*>(data);
  const auto there = [](const void* pointer, const Layout& layout) {
    return accessible(pointer, layout.span() * bytesOf(layout.type));
  };
  const bool all = there(product.aPointer, product.a) && there(product.bPointer, product.b) &&
                   there(product.dPointer, product.d) && (product.beta == 0 || there(product.cPointer, product.c)) &&
                   accessible(product.description.biasPointer, product.biasBytes()) &&
                   accessible(product.workspace, product.workspaceBytes);
  if (!all) {
    std::fprintf(stderr, "tutti emulator: a matmul touches memory out of bounds\n");
    return illegalAddress;
  }
  product.run();
  return 0;
}

/** An algorithm for long contractions sums parts of them, and keeps these sums. */
constexpr std::uint64_t longDepth = 1024;
std::size_t workspaceFor(const Product& product, const Preference& preference) {
  const std::size_t bytes = product.d.rows * product.d.columns * static_cast<std::size_t>(product.d.batches) * 4;
  return product.depth() >= longDepth && bytes <= preference.workspaceBytes ? bytes : 0;
}

/** Copies a value of the size that the attribute has. */
template <class T>
int take(T& target, const void* value, std::size_t bytes) {
  if (value == nullptr || bytes < sizeof(T)) return invalidValue;
  std::memcpy(&target, value, sizeof(T));
  return success;
}

}  // namespace

#define API extern "C" __attribute__((visibility("default"))) int

extern "C" __attribute__((visibility("default"))) std::size_t cublasLtGetVersion() { return 130000; }

extern "C" __attribute__((visibility("default"))) const char* tuttiEmulation() { return "tutti CUDA emulator"; }

extern "C" __attribute__((visibility("default"))) const char* cublasLtGetStatusString(int status) {
  switch (status) {
    case success: return "success";
    case notInitialized: return "the library was not initialized";
    case invalidValue: return "an unsupported value or parameter was passed to the function";
    case executionFailed: return "the GPU program failed to execute";
    case notSupported: return "the functionality requested is not supported";
    default: return "unknown status";
  }
}

API cublasLtCreate(int** handle) {
  if (handle == nullptr) return invalidValue;
  tutti_emulator::faults().refresh();
  *handle = new int(1);
  return success;
}

API cublasLtDestroy(int* handle) {
  delete handle;
  return success;
}

API cublasLtMatmulDescCreate(Description** description, int compute, int scale) {
  *description = new Description{compute, scale};
  return success;
}

API cublasLtMatmulDescDestroy(Description* description) {
  delete description;
  return success;
}

API cublasLtMatmulDescSetAttribute(Description* description, int attribute, const void* value, std::size_t bytes) {
  if (description == nullptr) return invalidValue;
  switch (attribute) {
    case 0: return take(description->compute, value, bytes);
    case 1: return take(description->scale, value, bytes);
    case 3: return take(description->transposeA, value, bytes);
    case 4: return take(description->transposeB, value, bytes);
    case 7: return take(description->epilogue, value, bytes);
    case 8: return take(description->biasPointer, value, bytes);
    case 10: return take(description->biasBatchStride, value, bytes);
    case 11: return take(description->auxiliaryPointer, value, bytes);
    case 12: return take(description->auxiliaryLeading, value, bytes);
    case 13: return take(description->auxiliaryBatchStride, value, bytes);
    case 26: return take(description->biasType, value, bytes);
    default: return notSupported;
  }
}

API cublasLtMatrixLayoutCreate(Layout** layout, int type, std::uint64_t rows, std::uint64_t columns,
                               std::int64_t leading) {
  *layout = new Layout{type, rows, columns, leading};
  return success;
}

API cublasLtMatrixLayoutDestroy(Layout* layout) {
  delete layout;
  return success;
}

API cublasLtMatrixLayoutSetAttribute(Layout* layout, int attribute, const void* value, std::size_t bytes) {
  if (layout == nullptr) return invalidValue;
  switch (attribute) {
    case 0: return take(layout->type, value, bytes);
    case 1: return take(layout->rowMajor, value, bytes);
    case 2: return take(layout->rows, value, bytes);
    case 3: return take(layout->columns, value, bytes);
    case 4: return take(layout->leading, value, bytes);
    case 5: return take(layout->batches, value, bytes);
    case 6: return take(layout->batchStride, value, bytes);
    default: return notSupported;
  }
}

API cublasLtMatmulPreferenceCreate(Preference** preference) {
  *preference = new Preference();
  return success;
}

API cublasLtMatmulPreferenceDestroy(Preference* preference) {
  delete preference;
  return success;
}

API cublasLtMatmulPreferenceSetAttribute(Preference* preference, int attribute, const void* value, std::size_t bytes) {
  if (preference == nullptr) return invalidValue;
  return attribute == 1 ? take(preference->workspaceBytes, value, bytes) : success;
}

API cublasLtMatmulAlgoGetHeuristic(int* handle, const Description* description, const Layout* a, const Layout* b,
                                   const Layout* c, const Layout* d, const Preference* preference, int wanted,
                                   HeuristicResult* results, int* count) {
  if (handle == nullptr || description == nullptr || preference == nullptr || wanted < 1) return invalidValue;
  *count = 0;
  if (tutti_emulator::faults().strikes("blas-heuristic")) return notSupported;
  const Product product{*description, *a, *b, *c, *d, nullptr, nullptr, nullptr, nullptr, 1, 0};
  const std::string fault = product.fault();
  if (!fault.empty()) {
    std::fprintf(stderr, "tutti emulator: no algorithm for %s\n", fault.c_str());
    return notSupported;
  }
  *count = std::min(wanted, 2);
  for (int i = 0; i < *count; i++) {
    results[i] = HeuristicResult{};
    // The second does without.
    results[i].workspaceBytes = i == 0 ? workspaceFor(product, *preference) : 0;
    results[i].algorithm = {{algorithmMark, static_cast<std::uint64_t>(i), results[i].workspaceBytes, 0, 0, 0, 0, 0}};
    results[i].waves = 1;
  }
  return success;
}

API cublasLtMatmul(int* handle, const Description* description, const void* alpha, const void* aPointer,
                   const Layout* a, const void* bPointer, const Layout* b, const void* beta, const void* cPointer,
                   const Layout* c, void* dPointer, const Layout* d, const Algorithm* algorithm, void* workspace,
                   std::size_t workspaceBytes, void* stream) {
  if (handle == nullptr || description == nullptr || alpha == nullptr || beta == nullptr) return invalidValue;
  if (algorithm != nullptr && algorithm->data[0] != algorithmMark) return invalidValue;
  const std::size_t needed = algorithm == nullptr ? 0 : algorithm->data[2];
  const bool isAligned = reinterpret_cast<std::uintptr_t>(workspace) % 256 == 0;
  if (needed > workspaceBytes || (needed > 0 && (workspace == nullptr || !isAligned))) return invalidValue;
  if (tutti_emulator::faults().strikes("blas")) return executionFailed;
  auto* const product = new Product{*description,
                                    *a,
                                    *b,
                                    *c,
                                    *d,
                                    aPointer,
                                    bPointer,
                                    cPointer,
                                    dPointer,
                                    *static_cast<const float*>(alpha),
                                    *static_cast<const float*>(beta),
                                    workspace,
                                    needed};
  static const auto enqueue =
      driverFunction<int (*)(void*, int (*)(void*), void*, void (*)(void*))>("tuttiEmulatorEnqueue");
  if (!product->fault().empty() || enqueue == nullptr) {
    delete product;
    return enqueue == nullptr ? notInitialized : notSupported;
  }
  return enqueue(stream, runProduct, product, [](void* data) { delete static_cast<Product*>(data); }) == 0
             ? success
             : executionFailed;
}
