// What the scenarios share: the emulated libraries by their exported names, and a device that is open.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

using Address = std::uint64_t;
using Handle = void*;

/** A function of the driver or of the compiler, by its name. */
void* symbol(const std::string& library, const char* name);

template <class... A>
int call(const char* name, A... arguments) {
  return reinterpret_cast<int (*)(A...)>(symbol(name[0] == 'n'                         ? "nvrtc"
                                                : std::strncmp(name, "cublas", 6) == 0 ? "blas"
                                                                                       : "cuda",
                                                name))(arguments...);
}

[[noreturn]] void failed(const char* file, int line, const std::string& what);

#define CHECK(condition)                                      \
  do {                                                        \
    if (!(condition)) failed(__FILE__, __LINE__, #condition); \
  } while (false)
/** The call succeeds. */
#define CU(...)                                                                              \
  do {                                                                                       \
    if (const int result_ = call(__VA_ARGS__))                                               \
      failed(__FILE__, __LINE__, "result " + std::to_string(result_) + " of " #__VA_ARGS__); \
  } while (false)
/** The call ends with this error. */
#define EXPECT(code, ...)                                                                                         \
  do {                                                                                                            \
    const int result_ = call(__VA_ARGS__);                                                                        \
    if (result_ != (code))                                                                                        \
      failed(__FILE__, __LINE__, "result " + std::to_string(result_) + " instead of " #code " of " #__VA_ARGS__); \
  } while (false)

struct Compiled {
  int result;
  std::string image, log;
};

Compiled compileText(const std::string& text, const std::vector<std::string>& options = {"--gpu-architecture=sm_90",
                                                                                         "-fmad=false", "--std=c++17"});

struct Dimensions {
  unsigned x = 1, y = 1, z = 1;
};

/** The bytes of parameters, each at a multiple of its size. */
class Parameters {
 public:
  template <class... P>
  explicit Parameters(P... values) {
    (add(values), ...);
  }
  template <class T>
  void add(const T& value) {
    bytes_.resize((bytes_.size() + alignof(T) - 1) / alignof(T) * alignof(T));
    const auto* at = reinterpret_cast<const unsigned char*>(&value);
    bytes_.insert(bytes_.end(), at, at + sizeof(T));
  }
  const std::vector<unsigned char>& bytes() const { return bytes_; }

 private:
  std::vector<unsigned char> bytes_;
};

class Session {
 public:
  explicit Session(int device = 0);
  ~Session();

  Handle load(const std::string& text, const char* entry = "kernel_main");
  /** The result of the call. */
  int tryLaunch(Handle function, Dimensions blocks, Dimensions threads, const Parameters& parameters,
                unsigned sharedBytes = 0, Handle on = nullptr);
  void launch(Handle function, Dimensions blocks, Dimensions threads, const Parameters& parameters,
              unsigned sharedBytes = 0, Handle on = nullptr);
  /** What waiting for the stream ends with. */
  int finish() { return call("cuStreamSynchronize", stream); }

  Address allocate(std::size_t bytes);
  template <class T>
  Address upload(const std::vector<T>& values) {
    const Address address = allocate(values.size() * sizeof(T));
    CU("cuMemcpyHtoDAsync_v2", address, static_cast<const void*>(values.data()), values.size() * sizeof(T), stream);
    return address;
  }
  template <class T>
  std::vector<T> download(Address address, std::size_t count) {
    std::vector<T> values(count);
    CU("cuMemcpyDtoHAsync_v2", static_cast<void*>(values.data()), address, count * sizeof(T), stream);
    return values;
  }

  int device;
  Handle context = nullptr, stream = nullptr;

 private:
  std::vector<Handle> modules_;
};

/** Numbers between -1 and 1, the same in every run. */
std::vector<float> randomNumbers(std::size_t count, unsigned seed = 1);

using Scenarios = std::map<std::string, std::function<void()>>;
Scenarios& scenarios();
struct Scenario {
  Scenario(const char* name, std::function<void()> run) { scenarios()[name] = std::move(run); }
};
#define SCENARIO(identifier, name)                           \
  static void identifier();                                  \
  static const Scenario identifier##Entry(name, identifier); \
  static void identifier()
