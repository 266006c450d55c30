#include "nvrtc.h"

namespace tutti {

// A program of NVRTC's, destroyed on every way out.
class Nvrtc::Program {
 public:
  Program(const Nvrtc& nvrtc, const std::string& source, const std::string& name) : nvrtc_(nvrtc) {
    TUTTI_CALL(nvrtc, nvrtcCreateProgram, &handle_, source.c_str(), name.c_str(), 0, nullptr, nullptr);
  }
  ~Program() { nvrtc_.nvrtcDestroyProgram(&handle_); }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  nvrtcProgram handle() const { return handle_; }

  std::string log() const {
    std::size_t bytes = 0;
    TUTTI_CALL(nvrtc_, nvrtcGetProgramLogSize, handle_, &bytes);
    if (bytes == 0) return "";
    std::string text(bytes, '\0');
    TUTTI_CALL(nvrtc_, nvrtcGetProgramLog, handle_, text.data());
    // The size counts the zero at the end.
    text.resize(bytes - 1);
    return text;
  }

 private:
  const Nvrtc& nvrtc_;
  nvrtcProgram handle_ = nullptr;
};

Nvrtc::Nvrtc(const std::string& path) : library_(path) {
  library_.find("nvrtcGetErrorString", nvrtcGetErrorString);
  library_.find("nvrtcSetFlowCallback", nvrtcSetFlowCallback);
#define TUTTI_RESOLVE(name, parameters) library_.require(#name, name);
  TUTTI_NVRTC_FUNCTIONS(TUTTI_RESOLVE)
#undef TUTTI_RESOLVE
  stopThreadsBeforeLibrariesUnload();
}

Nvrtc::Version Nvrtc::version() const {
  Version version{};
  TUTTI_CALL(*this, nvrtcVersion, &version.major, &version.minor);
  return version;
}

std::vector<int> Nvrtc::architectures() const {
  int count = 0;
  TUTTI_CALL(*this, nvrtcGetNumSupportedArchs, &count);
  std::vector<int> all(count);
  if (count > 0) TUTTI_CALL(*this, nvrtcGetSupportedArchs, all.data());
  return all;
}

Nvrtc::Result Nvrtc::compile(const std::string& source, const std::string& name, const std::vector<std::string>& options,
                             int (*cancelled)(void*, void*), void* payload) const {
  Program program(*this, source, name);
  // Of no consequence where it fails: then this compilation runs to its end.
  if (nvrtcSetFlowCallback) nvrtcSetFlowCallback(program.handle(), cancelled, payload);
  std::vector<const char*> words;
  for (const std::string& each : options) words.push_back(each.c_str());
  const nvrtcResult status = nvrtcCompileProgram(program.handle(), static_cast<int>(words.size()), words.data());
  std::string log = program.log();
  try {
    check(status, "nvrtcCompileProgram");
  } catch (NativeError& error) {
    error.log = std::move(log);
    throw;
  }
  std::size_t bytes = 0;
  TUTTI_CALL(*this, nvrtcGetCUBINSize, program.handle(), &bytes);
  std::vector<unsigned char> image(bytes);
  TUTTI_CALL(*this, nvrtcGetCUBIN, program.handle(), reinterpret_cast<char*>(image.data()));
  return {std::move(image), std::move(log)};
}

void Nvrtc::check(nvrtcResult status, const char* call) const {
  if (status == NVRTC_SUCCESS) return;
  const char* name = nvrtcGetErrorString ? nvrtcGetErrorString(status) : nullptr;
  const std::string code = name ? name : "NVRTC_ERROR_" + std::to_string(status);
  throw NativeError(code, call, status, std::string(call) + ": " + code);
}

}  // namespace tutti
