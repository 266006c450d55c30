#include "toolchain.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <mutex>
#include <sstream>

extern char** environ;

namespace tutti_emulator {
namespace {

/** Where the standard streams of a child go; -1: /dev/null for input, the parent's own for output. */
struct Streams {
  int input = -1, output = -1, error = -1;
};

pid_t start(const std::vector<std::string>& words, const Streams& streams) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  if (streams.input < 0) posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  else posix_spawn_file_actions_adddup2(&actions, streams.input, 0);
  if (streams.output >= 0) posix_spawn_file_actions_adddup2(&actions, streams.output, 1);
  if (streams.error >= 0) posix_spawn_file_actions_adddup2(&actions, streams.error, 2);
  // Signals that the parent blocks (Node does, in its threads) are not blocked in the child.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  pid_t pid = -1;
  const int failure = posix_spawnp(&pid, arguments[0], &actions, &attributes, arguments.data(), environ);
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failure == 0 ? pid : -1;
}

bool finish(pid_t pid) {
  int status = 0;
  while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR) {
  }
  return pid > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

std::string contents(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::string ask(const std::string& question) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return "";
  const pid_t pid = start({"g++", question}, {-1, ends[1], -1});
  close(ends[1]);
  std::string answer;
  char buffer[512];
  for (ssize_t count; (count = read(ends[0], buffer, sizeof buffer)) > 0;) answer.append(buffer, static_cast<std::size_t>(count));
  close(ends[0]);
  if (!finish(pid)) return "";
  while (!answer.empty() && answer.back() == '\n') answer.pop_back();
  return answer;
}

struct Toolchain {
  std::string compiler = ask("-print-prog-name=cc1plus");
  std::string assembler = ask("-print-prog-name=as");
  std::string linker = ask("-print-prog-name=ld");
  std::string version = ask("-dumpfullversion");
};

const Toolchain& toolchain() {
  static const Toolchain instance;
  return instance;
}

/** A folder for one compilation, removed with its files. */
class Workplace {
 public:
  Workplace() {
    const char* base = std::getenv("TMPDIR");
    path_ = std::string(base == nullptr || *base == '\0' ? "/tmp" : base) + "/tutti-emulator-XXXXXX";
    if (mkdtemp(path_.data()) == nullptr) path_.clear();
  }
  ~Workplace() {
    for (const char* file : {"kernel.cc", "kernel.o", "kernel.so", "log"}) unlink(at(file).c_str());
    if (!path_.empty()) rmdir(path_.c_str());
  }
  Workplace(const Workplace&) = delete;
  Workplace& operator=(const Workplace&) = delete;
  bool exists() const { return !path_.empty(); }
  std::string at(const char* file) const { return path_ + "/" + file; }

 private:
  std::string path_;
};

std::vector<std::string> compilerWords(const std::string& source, const std::vector<std::string>& definitions, bool sanitized) {
  std::vector<std::string> words{
      toolchain().compiler, "-quiet", "-O1", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-weak", "-fno-exceptions", "-fno-rtti",
      "-fno-asynchronous-unwind-tables", "-fno-stack-protector",
      // Large local variables touch every page on their way: the one below the stack of a thread is guarded.
      "-fstack-clash-protection",
      // A GPU stops at a misaligned access; this processor would not.
      "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error",
      // A GPU has IEEE arithmetic, and the text says itself where a product and a sum become one.
      "-ffp-contract=off", "-fno-math-errno",
      // Vector loads read elements of any type.
      "-fno-strict-aliasing", "-w", "-nostdinc", "-nostdinc++", "-fdiagnostics-color=never", "-fno-diagnostics-show-caret"};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    for (const char* word : {"-mavx2", "-mfma", "-mf16c", "-mpopcnt"}) words.push_back(word);
  }
#endif
  if (sanitized) words.push_back("-fsanitize=address");
  words.insert(words.end(), definitions.begin(), definitions.end());
  words.insert(words.end(), {source, "-o", "-"});
  return words;
}

/** The compiler writes into the assembler's input, so that both run at the same time. */
bool assemble(const Workplace& place, const std::vector<std::string>& words, int log) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return false;
  const pid_t compiler = start(words, {-1, ends[1], log});
  const pid_t assembler = start({toolchain().assembler, "-o", place.at("kernel.o"), "-"}, {ends[0], -1, log});
  close(ends[0]);
  close(ends[1]);
  const bool compiled = finish(compiler);
  return finish(assembler) && compiled;
}

}  // namespace

std::string toolchainName() { return toolchain().compiler + " " + toolchain().version; }

Compilation compileObject(const std::string& text, const std::vector<std::string>& definitions, bool sanitized) {
  const Workplace place;
  if (toolchain().compiler.find('/') == std::string::npos) return {false, "", "the emulator's compiler needs g++, which was not found\n"};
  if (!place.exists()) return {false, "", "the emulator's compiler cannot write to the folder of temporary files\n"};
  std::ofstream(place.at("kernel.cc"), std::ios::binary) << text;
  const int log = open(place.at("log").c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  bool succeeded = assemble(place, compilerWords(place.at("kernel.cc"), definitions, sanitized), log);
  if (succeeded) {
    // Without pages between the segments an object takes two mappings instead of five: a process loads thousands.
    const std::vector<std::string> words{toolchain().linker, "-shared", "-s", "-z", "noseparate-code", "-z", "norelro", "--build-id=none",
                                         "--hash-style=gnu", "-o", place.at("kernel.so"), place.at("kernel.o")};
    succeeded = finish(start(words, {-1, log, log}));
  }
  close(log);
  Compilation result{succeeded, succeeded ? contents(place.at("kernel.so")) : "", contents(place.at("log"))};
  if (!succeeded && result.log.empty()) result.log = "the host's compiler ended without a message\n";
  return result;
}

}  // namespace tutti_emulator
