#include "session.h"

#include <dlfcn.h>

#include <cmath>

void failed(const char* file, int line, const std::string& what) {
  std::printf("%s:%d: %s\n", file, line, what.c_str());
  std::fflush(stdout);
  std::_Exit(1);
}

void* symbol(const std::string& library, const char* name) {
  static std::map<std::string, void*> libraries;
  void*& handle = libraries[library];
  if (handle == nullptr) {
    const std::map<std::string, const char*> files{
        {"cuda", "libcuda.so.1"}, {"nvrtc", "libnvrtc.so.13"}, {"blas", "libcublasLt.so.13"}};
    const char* const folder = std::getenv("EMULATOR");
    handle = dlopen((std::string(folder == nullptr ? "." : folder) + "/" + files.at(library)).c_str(),
                    RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) failed(__FILE__, __LINE__, dlerror());
  }
  void* const found = dlsym(handle, name);
  if (found == nullptr) failed(__FILE__, __LINE__, dlerror());
  return found;
}

Compiled compileText(const std::string& text, const std::vector<std::string>& options) {
  Handle program = nullptr;
  CU("nvrtcCreateProgram", &program, text.c_str(), "text.cu", 0, static_cast<const char* const*>(nullptr),
     static_cast<const char* const*>(nullptr));
  std::vector<const char*> list;
  for (const std::string& option : options) list.push_back(option.c_str());
  Compiled compiled{call("nvrtcCompileProgram", program, static_cast<int>(list.size()), list.data()), "", ""};
  std::size_t bytes = 0;
  CU("nvrtcGetCUBINSize", program, &bytes);
  compiled.image.resize(bytes);
  CU("nvrtcGetCUBIN", program, compiled.image.data());
  CU("nvrtcGetProgramLogSize", program, &bytes);
  compiled.log.resize(bytes);
  CU("nvrtcGetProgramLog", program, compiled.log.data());
  compiled.log.resize(bytes - 1);
  CU("nvrtcDestroyProgram", &program);
  return compiled;
}

Session::Session(int index) : device(index) {
  CU("cuInit", 0u);
  CU("cuDevicePrimaryCtxRetain", &context, device);
  CU("cuCtxSetCurrent", context);
  CU("cuStreamCreate", &stream, 1u);
}

Session::~Session() { call("cuDevicePrimaryCtxRelease_v2", device); }

Handle Session::load(const std::string& text, const char* entry) {
  const Compiled compiled = compileText(text);
  if (compiled.result != 0) failed(__FILE__, __LINE__, compiled.log);
  modules_.push_back(nullptr);
  CU("cuModuleLoadData", &modules_.back(), static_cast<const void*>(compiled.image.data()));
  Handle function = nullptr;
  CU("cuModuleGetFunction", &function, modules_.back(), entry);
  return function;
}

int Session::tryLaunch(Handle function, Dimensions blocks, Dimensions threads, const Parameters& parameters,
                       unsigned sharedBytes, Handle on) {
  std::size_t size = parameters.bytes().size();
  void* extra[] = {reinterpret_cast<void*>(1), const_cast<unsigned char*>(parameters.bytes().data()),
                   reinterpret_cast<void*>(2), &size, nullptr};
  return call("cuLaunchKernel", function, blocks.x, blocks.y, blocks.z, threads.x, threads.y, threads.z, sharedBytes,
              on == nullptr ? stream : on, static_cast<void**>(nullptr), static_cast<void**>(extra));
}

void Session::launch(Handle function, Dimensions blocks, Dimensions threads, const Parameters& parameters,
                     unsigned sharedBytes, Handle on) {
  const int result = tryLaunch(function, blocks, threads, parameters, sharedBytes, on);
  if (result != 0) failed(__FILE__, __LINE__, "a launch ends with " + std::to_string(result));
}

Address Session::allocate(std::size_t bytes) {
  Address address = 0;
  CU("cuMemAllocAsync", &address, bytes, stream);
  return address;
}

std::vector<float> randomNumbers(std::size_t count, unsigned seed) {
  std::vector<float> values(count);
  std::uint32_t state = seed * 2654435761u + 12345;
  for (float& value : values) {
    state = state * 1664525u + 1013904223u;
    value = static_cast<float>(static_cast<std::int32_t>(state)) / 2147483648.0f;
  }
  return values;
}

Scenarios& scenarios() {
  static Scenarios all;
  return all;
}

int main(int count, char** words) {
  if (count < 2 || scenarios().count(words[1]) == 0) {
    for (const auto& [name, run] : scenarios()) std::printf("%s\n", name.c_str());
    return count < 2 ? 0 : 2;
  }
  scenarios()[words[1]]();
  std::printf("passed\n");
  return 0;
}
