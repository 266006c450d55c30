// Starting programs, and their files.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace tutti_emulator {

/** A file of the system, closed at the end. */
class File {
 public:
  explicit File(int number = -1) : number_(number) {}
  File(File&& other) noexcept : number_(other.release()) {}
  File& operator=(File&& other) noexcept;
  ~File() { close(); }
  int number() const { return number_; }
  bool there() const { return number_ >= 0; }
  int release();
  void close();

 private:
  int number_;
};

struct Pipe {
  File reads, writes;
};
Pipe makePipe();
std::string contents(const File& file);

/** A file that has no place in any folder: nothing is left of it, however this process ends. */
class MemoryFile {
 public:
  explicit MemoryFile(const std::string& text = "");
  bool there() const { return file_.there(); }
  int number() const { return file_.number(); }
  /** As this process, and those that are given the file, can open it. */
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_.number()); }
  std::string text() const;

 private:
  File file_;
};

/** Where the standard streams of a program go; -1: nowhere. */
struct Streams {
  int input = -1, output = -1, error = -1;
  /** Files that the program has under the same numbers. */
  std::vector<int> files = {};
};

/** The process, or -1. */
pid_t start(const std::vector<std::string>& words, const Streams& streams);
/** Where a program is, by the folders that programs are looked for in; the name itself where it is in none. */
std::string wholePath(const std::string& name);
/** Whether it ended well. */
bool finish(pid_t process);

}  // namespace tutti_emulator
