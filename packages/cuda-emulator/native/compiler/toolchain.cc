#include "toolchain.h"

#include "process.h"

namespace tutti_emulator {
namespace {

std::string ask(const char* question) {
  Pipe pipe = makePipe();
  const pid_t process = start({"g++", question}, {-1, pipe.writes.number(), -1});
  pipe.writes.close();
  std::string answer = contents(pipe.reads);
  if (!finish(process)) return "";
  while (!answer.empty() && answer.back() == '\n') answer.pop_back();
  return answer;
}

struct Toolchain {
  std::string compiler = ask("-print-prog-name=cc1plus");
  std::string assembler = wholePath(ask("-print-prog-name=as"));
  std::string linker = wholePath(ask("-print-prog-name=ld"));
  std::string version = ask("-dumpfullversion");
};

const Toolchain& toolchain() {
  // Never destroyed: a thread may still compile when the process ends.
  static const Toolchain* const instance = new Toolchain();
  return *instance;
}

/** What the programs hand on to each other. */
struct Files {
  explicit Files(const std::string& text) : source(text) {}
  bool there() const { return source.there() && object.there() && image.there() && log.there(); }

  const MemoryFile source, object, image, log;
};

std::vector<std::string> compilerWords(const std::string& source, bool sanitized) {
  std::vector<std::string> words{
      // -Og takes an eighth less time than -O1, and its code runs as fast where it was measured (a tiled product); that
      // of -O0 takes three times as long.
      toolchain().compiler, "-quiet", "-Og", "-std=c++17", "-fPIC", "-fvisibility=hidden", "-fno-weak",
      "-fno-exceptions", "-fno-rtti", "-fno-asynchronous-unwind-tables", "-fno-stack-protector",
      // Large local variables touch every page on their way: the one below the stack of a thread is guarded.
      "-fstack-clash-protection",
      // A GPU stops at a misaligned access; this processor would not.
      "-fsanitize=alignment", "-fsanitize-undefined-trap-on-error",
      // A GPU has IEEE arithmetic, and the text says itself where a product and a sum become one.
      "-ffp-contract=off", "-fno-math-errno",
      // Vector loads read elements of any type.
      "-fno-strict-aliasing", "-w", "-nostdinc", "-nostdinc++", "-fdiagnostics-color=never",
      "-fno-diagnostics-show-caret"};
#if defined(__x86_64__)
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("f16c")) {
    for (const char* word : {"-mavx2", "-mfma", "-mf16c", "-mpopcnt"}) words.push_back(word);
  }
#endif
  if (sanitized) words.push_back("-fsanitize=address");
  words.insert(words.end(), {source, "-o", "-"});
  return words;
}

/** The compiler writes into the assembler's input, so that both run at the same time. */
bool assemble(const Files& files, bool sanitized) {
  Pipe pipe = makePipe();
  const int log = files.log.number();
  const pid_t compiler =
      start(compilerWords(files.source.path(), sanitized), {-1, pipe.writes.number(), log, {files.source.number()}});
  const pid_t assembler = start({toolchain().assembler, "-o", files.object.path(), "-"},
                                {pipe.reads.number(), -1, log, {files.object.number()}});
  pipe.reads.close();
  pipe.writes.close();
  const bool compiled = finish(compiler);
  return finish(assembler) && compiled;
}

bool link(const Files& files) {
  // Without pages between the segments an object takes two mappings instead of five: a process loads thousands.
  const std::vector<std::string> words{toolchain().linker,
                                       "-shared",
                                       "-s",
                                       "-z",
                                       "noseparate-code",
                                       "-z",
                                       "norelro",
                                       "--build-id=none",
                                       "--hash-style=gnu",
                                       "-o",
                                       files.image.path(),
                                       files.object.path()};
  const int log = files.log.number();
  return finish(start(words, {-1, log, log, {files.object.number(), files.image.number()}}));
}

}  // namespace

std::string toolchainName() { return toolchain().compiler + " " + toolchain().version; }

Compilation compileObject(const std::string& text, bool sanitized) {
  if (toolchain().compiler.find('/') == std::string::npos) {
    return {false, "", "the emulator's compiler needs g++, which was not found\n"};
  }
  const Files files(text);
  if (!files.there()) return {false, "", "the emulator's compiler got no memory for its files\n"};
  const bool succeeded = assemble(files, sanitized) && link(files);
  Compilation result{succeeded, succeeded ? files.image.text() : "", files.log.text()};
  if (!succeeded && result.log.empty()) result.log = "the host's compiler ended without a message\n";
  return result;
}

}  // namespace tutti_emulator
