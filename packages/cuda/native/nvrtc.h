// NVRTC, which compiles CUDA C at run time, as a table of functions.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "cuda_types.h"
#include "library.h"

namespace tutti {

using nvrtcResult = int;
using nvrtcProgram = struct _nvrtcProgram*;

enum : nvrtcResult { NVRTC_SUCCESS = 0, NVRTC_ERROR_COMPILATION = 6 };

#define TUTTI_NVRTC_FUNCTIONS(F)                                                                                    \
  F(nvrtcVersion, (int* major, int* minor))                                                                         \
  F(nvrtcGetNumSupportedArchs, (int* count))                                                                        \
  F(nvrtcGetSupportedArchs, (int* architectures))                                                                   \
  F(nvrtcCreateProgram, (nvrtcProgram * program, const char* source, const char* name, int headerCount,             \
                         const char* const* headers, const char* const* includeNames))                              \
  F(nvrtcCompileProgram, (nvrtcProgram program, int optionCount, const char* const* options))                       \
  F(nvrtcGetCUBINSize, (nvrtcProgram program, std::size_t * bytes))                                                 \
  F(nvrtcGetCUBIN, (nvrtcProgram program, char* image))                                                             \
  F(nvrtcGetProgramLogSize, (nvrtcProgram program, std::size_t * bytes))                                            \
  F(nvrtcGetProgramLog, (nvrtcProgram program, char* log))                                                          \
  F(nvrtcDestroyProgram, (nvrtcProgram * program))

class Nvrtc {
 public:
  // Throws LIBRARY_NOT_FOUND, SYMBOL_NOT_FOUND.
  explicit Nvrtc(const std::string& path);

  struct Version {
    int major;
    int minor;
  };
  Version version() const;
  std::vector<int> architectures() const;

  struct Result {
    std::vector<unsigned char> image;
    std::string log;
  };
  // Any thread. Throws NVRTC_ERROR_COMPILATION with the log. `cancelled` is asked now and then by a compiler that can be cancelled.
  Result compile(const std::string& source, const std::string& name, const std::vector<std::string>& options,
                 int (*cancelled)(void* payload, void*), void* payload) const;

 private:
  class Program;
  const Nvrtc& api() const { return *this; }
  void check(nvrtcResult status, const char* call) const;

  Library library_;
  const char*(TUTTI_CUDA_CALL* nvrtcGetErrorString)(nvrtcResult status) = nullptr;
  // From 12.8.
  nvrtcResult(TUTTI_CUDA_CALL* nvrtcSetFlowCallback)(nvrtcProgram program, int (*callback)(void*, void*),
                                                     void* payload) = nullptr;
#define TUTTI_MEMBER(name, parameters) nvrtcResult(TUTTI_CUDA_CALL* name) parameters = nullptr;
  TUTTI_NVRTC_FUNCTIONS(TUTTI_MEMBER)
#undef TUTTI_MEMBER
};

}  // namespace tutti
