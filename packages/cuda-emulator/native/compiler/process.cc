#include "process.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <sstream>
#include <utility>

extern char** environ;

namespace tutti_emulator {

File& File::operator=(File&& other) noexcept {
  close();
  number_ = other.release();
  return *this;
}

int File::release() { return std::exchange(number_, -1); }

void File::close() {
  if (number_ >= 0) ::close(number_);
  number_ = -1;
}

Pipe makePipe() {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Pipe{File(), File()};
  return Pipe{File(ends[0]), File(ends[1])};
}

std::string contents(const File& file) {
  std::string text;
  char buffer[65536];
  for (ssize_t count; (count = read(file.number(), buffer, sizeof buffer)) > 0 || (count < 0 && errno == EINTR);) {
    if (count > 0) text.append(buffer, static_cast<std::size_t>(count));
  }
  return text;
}

MemoryFile::MemoryFile(const std::string& text) : file_(memfd_create("tutti-emulator", MFD_CLOEXEC)) {
  for (std::size_t written = 0; file_.there() && written < text.size();) {
    const ssize_t count = write(file_.number(), text.data() + written, text.size() - written);
    if (count <= 0)
      file_.close();
    else
      written += static_cast<std::size_t>(count);
  }
}

std::string MemoryFile::text() const {
  lseek(file_.number(), 0, SEEK_SET);
  return contents(file_);
}

pid_t start(const std::vector<std::string>& words, const Streams& streams) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  // Node keeps its own from being inherited, and a file that is opened later must not get one of these numbers.
  const auto connect = [&](int file, int number, int access) {
    if (file < 0)
      posix_spawn_file_actions_addopen(&actions, number, "/dev/null", access, 0);
    else
      posix_spawn_file_actions_adddup2(&actions, file, number);
  };
  connect(streams.input, 0, O_RDONLY);
  connect(streams.output, 1, O_WRONLY);
  connect(streams.error, 2, O_WRONLY);
  // The same number twice: it is kept open.
  for (const int file : streams.files) posix_spawn_file_actions_adddup2(&actions, file, file);
  // Signals that the parent blocks (Node does, in its threads) are not blocked in the child.
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none;
  sigemptyset(&none);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
  std::vector<char*> arguments, variables;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  // A library that this process is started with is none of the compiler's.
  for (char** variable = environ; *variable != nullptr; variable++) {
    if (std::strncmp(*variable, "LD_PRELOAD=", 11) != 0) variables.push_back(*variable);
  }
  arguments.push_back(nullptr);
  variables.push_back(nullptr);
  pid_t process = -1;
  const int failure = posix_spawnp(&process, arguments[0], &actions, &attributes, arguments.data(), variables.data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  return failure == 0 ? process : -1;
}

std::string wholePath(const std::string& name) {
  const char* const list = std::getenv("PATH");
  std::istringstream folders(list == nullptr ? "" : list);
  for (std::string folder; name.find('/') == std::string::npos && std::getline(folders, folder, ':');) {
    const std::string path = folder + "/" + name;
    if (access(path.c_str(), X_OK) == 0) return path;
  }
  return name;
}

bool finish(pid_t process) {
  int status = 0;
  while (process > 0 && waitpid(process, &status, 0) < 0 && errno == EINTR) {
  }
  return process > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace tutti_emulator
