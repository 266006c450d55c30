// The interface of NVRTC. A "CUBIN" is a shared object of the host, which the driver of this emulator loads.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <unistd.h>

#include "../common/settings.h"
#include "../common/tally.h"
#include "text.h"
#include "toolchain.h"

// The texts that come before every kernel's, as the build found them.
asm(R"(
  .section .rodata
  .global tuttiAbiText, tuttiShimText
tuttiAbiText: .incbin "abi.h"
  .byte 0
tuttiShimText: .incbin "shim.h"
  .byte 0
  .previous
)");
extern "C" const char tuttiAbiText[];
extern "C" const char tuttiShimText[];

namespace tutti_emulator {
namespace {

enum Result : int {
  success = 0,
  outOfMemory = 1,
  invalidInput = 3,
  invalidProgram = 4,
  invalidOption = 5,
  compilation = 6,
};

constexpr int architectures[] = {75, 80, 86, 87, 88, 89, 90, 100, 103, 110, 120, 121};

struct Program {
  std::string source, name, image, log;
};

struct Options {
  int architecture = 75;
  bool sanitized = false;
  std::vector<std::string> definitions;
  /** Why they cannot be taken; empty where they can. */
  std::string fault;
};

bool startsWith(const std::string& text, const char* start) { return text.rfind(start, 0) == 0; }

/** `NAME=VALUE` of an option, as a text has it. */
std::string definitionOf(std::string option) {
  const std::size_t sign = option.find('=');
  if (sign == std::string::npos) return option + " 1";
  option[sign] = ' ';
  return option;
}

void readArchitecture(const std::string& name, Options& options) {
  const bool real = startsWith(name, "sm_");
  const int number = real ? std::atoi(name.c_str() + 3) : 0;
  const bool known = std::find(std::begin(architectures), std::end(architectures), number) != std::end(architectures);
  const std::string rest = real ? name.substr(3 + std::to_string(number).size()) : "?";
  if (!known || (rest != "" && rest != "a" && rest != "f")) {
    options.fault = "nvrtc: error: invalid value for --gpu-architecture (-arch): " + name + "\n";
  }
  options.architecture = number;
}

/** Those that generated code is compiled with; an unknown one is an error, as it is with NVRTC. */
Options readOptions(int count, const char* const* list) {
  Options options;
  options.sanitized = setting("SANITIZE") == "address";
  for (int i = 0; i < count; i++) {
    std::string word = list[i];
    const bool pair =
        word == "-arch" || word == "--gpu-architecture" || word == "-D" || word == "--define-macro" || word == "--std";
    if (pair && i + 1 < count) word += (word == "-D" ? "" : "=") + std::string(list[++i]);
    const std::string value = word.substr(std::min(word.find('=') + 1, word.size()));
    if (startsWith(word, "--gpu-architecture=") || startsWith(word, "-arch=")) {
      readArchitecture(value, options);
    } else if (startsWith(word, "-D")) {
      options.definitions.push_back(definitionOf(word.substr(2)));
    } else if (startsWith(word, "--define-macro=")) {
      options.definitions.push_back(definitionOf(value));
    } else {
      static const char* const accepted[] = {"-fmad=false",
                                             "--fmad=false",
                                             "-std=c++17",
                                             "--std=c++17",
                                             "-default-device",
                                             "--device-as-default-execution-space",
                                             "-lineinfo",
                                             "--generate-line-info",
                                             "-w",
                                             "--disable-warnings",
                                             "--ftz=false",
                                             "-ftz=false",
                                             "--prec-div=true",
                                             "--prec-sqrt=true",
                                             "-prec-div=true",
                                             "-prec-sqrt=true",
                                             "--extra-device-vectorization",
                                             "-no-cache",
                                             "--no-cache"};
      const bool known =
          std::any_of(std::begin(accepted), std::end(accepted), [&](const char* option) { return word == option; }) ||
          startsWith(word, "--maxrregcount=") || startsWith(word, "-maxrregcount=") ||
          startsWith(word, "--split-compile=");
      if (!known) options.fault = "nvrtc: error: unrecognized option " + word + " found\n";
    }
  }
  return options;
}

/** The text that is compiled: the dialect, the kernels, and what the driver has to know of them. */
std::string unit(const Program& program, const Options& options) {
  const KernelText kernel = readKernelText(program.source);
  std::ostringstream text;
  text << "#line 1 \"tutti/abi.h\"\n"
       << tuttiAbiText << "\n#line 1 \"tutti/shim.h\"\n"
       << shimFor(program.source, tuttiShimText);
  text << "\n#pragma GCC visibility push(hidden)\n#define __CUDA_ARCH__ " << options.architecture << "0\n";
  for (const std::string& definition : options.definitions) text << "#define " << definition << "\n";
  text << "#line 1 \"" << program.name << "\"\n" << kernel.text << "\n#line 1 \"tutti/module\"\n";
  text << "asm(\".pushsection tutti_dynamic,\\\"aw\\\",%nobits\\n.balign 1024\\ntutti_dynamic_start:\\n.zero "
          "237568\\n.popsection\");\n";
  for (const std::string& name : kernel.dynamicShared) {
    text << "asm(\".globl " << name << "\\n.set " << name << ", tutti_dynamic_start\");\n";
  }
  text << "namespace tutti_emulator {\nstatic const KernelEntry entries[] = {\n";
  for (const KernelName& k : kernel.kernels) {
    const std::string entry = "Entry<&::" + k.name + ">";
    text << "{\"" << k.name << "\", &" << entry << "::run, " << entry << "::places.at, " << entry
         << "::count, (unsigned)(" << (k.maxThreads.empty() ? "0" : k.maxThreads) << ")},\n";
  }
  text << "{}};\nextern \"C\" __attribute__((visibility(\"default\"))) const Module tuttiModule{abiVersion, "
       << options.architecture << ", entries, " << kernel.kernels.size() << "};\n}\n";
  return text.str();
}

/** Two hashes of 64 bits: enough for the name of a file in a cache of tests. */
std::string digest(const std::string& text) {
  std::uint64_t a = 0xcbf29ce484222325u, b = 0x9e3779b97f4a7c15u;
  for (const char c : text) {
    a = (a ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
    b = (b + static_cast<unsigned char>(c)) * 0xff51afd7ed558ccdu;
    b ^= b >> 29;
  }
  char name[40];
  std::snprintf(name, sizeof name, "%016llx%016llx", static_cast<unsigned long long>(a),
                static_cast<unsigned long long>(b));
  return name;
}

/** Whether it succeeded. */
bool compile(Program& program, const std::string& text, const Options& options) {
  const std::string folder = setting("CACHE");
  const std::string key = folder.empty() ? "" : text + toolchainName() + (options.sanitized ? "address" : "");
  const std::string path = folder.empty() ? "" : folder + "/" + digest(key) + ".so";
  if (!path.empty()) {
    std::ifstream file(path, std::ios::binary);
    std::ostringstream image;
    if (file && image << file.rdbuf()) {
      program.image = image.str();
      return true;
    }
  }
  Compilation result = compileObject(text, options.sanitized);
  program.image = std::move(result.image);
  program.log = std::move(result.log);
  if (!result.succeeded || path.empty()) return result.succeeded;
  // Written aside and renamed: other processes see the whole file or none.
  const std::string aside =
      path + "." + std::to_string(getpid()) + "." + std::to_string(reinterpret_cast<std::uintptr_t>(&program));
  std::ofstream(aside, std::ios::binary) << program.image;
  if (std::rename(aside.c_str(), path.c_str()) != 0) unlink(aside.c_str());
  return true;
}

}  // namespace
}  // namespace tutti_emulator

using tutti_emulator::Program;

#define API extern "C" __attribute__((visibility("default"))) int

API nvrtcVersion(int* major, int* minor) {
  *major = 13;
  *minor = 0;
  return 0;
}

extern "C" __attribute__((visibility("default"))) const char* nvrtcGetErrorString(int result) {
  switch (result) {
    case 0: return "NVRTC_SUCCESS";
    case 1: return "NVRTC_ERROR_OUT_OF_MEMORY";
    case 2: return "NVRTC_ERROR_PROGRAM_CREATION_FAILURE";
    case 3: return "NVRTC_ERROR_INVALID_INPUT";
    case 4: return "NVRTC_ERROR_INVALID_PROGRAM";
    case 5: return "NVRTC_ERROR_INVALID_OPTION";
    case 6: return "NVRTC_ERROR_COMPILATION";
    case 7: return "NVRTC_ERROR_BUILTIN_OPERATION_FAILURE";
    default: return "NVRTC_ERROR unknown";
  }
}

API nvrtcGetNumSupportedArchs(int* count) {
  *count = static_cast<int>(std::size(tutti_emulator::architectures));
  return 0;
}

API nvrtcGetSupportedArchs(int* list) {
  std::copy(std::begin(tutti_emulator::architectures), std::end(tutti_emulator::architectures), list);
  return 0;
}

API nvrtcCreateProgram(Program** program, const char* source, const char* name, int headers, const char* const*,
                       const char* const*) {
  if (program == nullptr || source == nullptr || headers != 0) return tutti_emulator::invalidInput;
  tutti_emulator::faults().refresh();
  *program = new Program{source, name == nullptr || *name == '\0' ? "default_program" : name, "", ""};
  return 0;
}

API nvrtcDestroyProgram(Program** program) {
  if (program == nullptr || *program == nullptr) return tutti_emulator::invalidProgram;
  delete *program;
  *program = nullptr;
  return 0;
}

API nvrtcCompileProgram(Program* program, int count, const char* const* list) {
  if (program == nullptr) return tutti_emulator::invalidProgram;
  const tutti_emulator::Options options = tutti_emulator::readOptions(count, list);
  program->log = options.fault;
  if (!options.fault.empty()) return tutti_emulator::invalidOption;
  if (tutti_emulator::faults().strikes("compile")) {
    program->log = program->name + "(1): error: a fault was asked for\n";
    return tutti_emulator::compilation;
  }
  static tutti_emulator::Tally tally("compilations");
  const tutti_emulator::Tally::Occasion occasion(tally);
  const std::string text = tutti_emulator::unit(*program, options);
  return tutti_emulator::compile(*program, text, options) ? 0 : tutti_emulator::compilation;
}

API nvrtcGetCUBINSize(Program* program, std::size_t* bytes) {
  if (program == nullptr) return tutti_emulator::invalidProgram;
  *bytes = program->image.size();
  return 0;
}

API nvrtcGetCUBIN(Program* program, char* image) {
  if (program == nullptr) return tutti_emulator::invalidProgram;
  std::memcpy(image, program->image.data(), program->image.size());
  return 0;
}

API nvrtcGetProgramLogSize(Program* program, std::size_t* bytes) {
  if (program == nullptr) return tutti_emulator::invalidProgram;
  *bytes = program->log.size() + 1;
  return 0;
}

API nvrtcGetProgramLog(Program* program, char* log) {
  if (program == nullptr) return tutti_emulator::invalidProgram;
  std::memcpy(log, program->log.c_str(), program->log.size() + 1);
  return 0;
}
