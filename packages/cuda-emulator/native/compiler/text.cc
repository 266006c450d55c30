#include "text.h"

#include <algorithm>
#include <cctype>
#include <sstream>

namespace tutti_emulator {
namespace {

struct Token {
  std::string text;
  std::size_t at;
};

bool inName(char c) { return std::isalnum(static_cast<unsigned char>(c)) || c == '_'; }

std::size_t skipQuoted(const std::string& text, std::size_t at) {
  const char quote = text[at++];
  while (at < text.size() && text[at] != quote) at += text[at] == '\\' ? 2 : 1;
  return std::min(at + 1, text.size());
}

/** Names and single characters, without blanks and comments. A quoted text is one token. */
std::vector<Token> tokens(const std::string& text) {
  std::vector<Token> list;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t from = at;
    if (text.compare(at, 2, "//") == 0) {
      at = std::min(text.find('\n', at), text.size());
    } else if (text.compare(at, 2, "/*") == 0) {
      const std::size_t end = text.find("*/", at + 2);
      at = end == std::string::npos ? text.size() : end + 2;
    } else if (text[at] == '"' || (text[at] == '\'' && (at == 0 || !inName(text[at - 1])))) {
      at = skipQuoted(text, at);
      list.push_back({text.substr(from, at - from), from});
    } else if (inName(text[at])) {
      while (at < text.size() && inName(text[at])) at++;
      list.push_back({text.substr(from, at - from), from});
    } else {
      at++;
      if (!std::isspace(static_cast<unsigned char>(text[from]))) list.push_back({text.substr(from, 1), from});
    }
  }
  return list;
}

/** The index behind the parenthesis that closes the one at `open`. */
std::size_t closing(const std::vector<Token>& list, std::size_t open) {
  int depth = 0;
  for (std::size_t i = open; i < list.size(); i++) {
    if (list[i].text == "(") depth++;
    if (list[i].text == ")" && --depth == 0) return i + 1;
  }
  return list.size();
}

std::string firstArgument(const std::string& text, const std::vector<Token>& list, std::size_t open) {
  const std::size_t end = closing(list, open);
  int depth = 0;
  for (std::size_t i = open; i < end; i++) {
    if (list[i].text == "(") depth++;
    if (list[i].text == ")") depth--;
    if ((depth == 1 && list[i].text == ",") || depth == 0) {
      const std::size_t from = list[open].at + 1;
      return text.substr(from, list[i].at - from);
    }
  }
  return "";
}

/** Whether a name in the text begins with one of those that are listed. */
bool mentions(const std::string& text, const std::string& list) {
  std::istringstream words(list);
  for (std::string word; words >> word;) {
    for (std::size_t at = text.find(word); at != std::string::npos; at = text.find(word, at + 1)) {
      if (at == 0 || !inName(text[at - 1])) return true;
    }
  }
  return false;
}

}  // namespace

std::string shimFor(const std::string& text, const std::string& shim) {
  const std::string mark = "\n//? ";
  std::string chosen;
  bool wanted = true;
  for (std::size_t at = 0; at != std::string::npos;) {
    const std::size_t next = shim.find(mark, at);
    if (wanted) chosen += shim.substr(at, next - at);
    if (next == std::string::npos) break;
    const std::size_t from = next + mark.size();
    at = shim.find('\n', from);
    const std::string names = shim.substr(from, at - from);
    wanted = names == "always" || mentions(text, names);
  }
  return chosen;
}

KernelText readKernelText(const std::string& text) {
  KernelText result{text, {}, {}};
  const std::vector<Token> list = tokens(text);
  std::string bounds;
  for (std::size_t i = 0; i < list.size(); i++) {
    const std::string& token = list[i].text;
    if (token == ";" || token == "{" || token == "}") bounds.clear();
    if (token == "__launch_bounds__" && i + 1 < list.size()) bounds = firstArgument(text, list, i + 1);
    if (token == "extern") {
      std::size_t shared = 0;
      for (std::size_t j = i + 1;
           j + 1 < list.size() && list[j].text != ";" && list[j].text != "{" && list[j].text[0] != '"'; j++) {
        if (list[j].text == "__shared__") shared = j;
        if (shared == 0 || list[j + 1].text != "[") continue;
        result.text.replace(list[shared].at, list[shared].text.size(), list[shared].text.size(), ' ');
        if (std::find(result.dynamicShared.begin(), result.dynamicShared.end(), list[j].text) ==
            result.dynamicShared.end()) {
          result.dynamicShared.push_back(list[j].text);
        }
        break;
      }
    }
    if (token != "__global__") continue;
    for (std::size_t j = i + 1; j + 1 < list.size() && list[j].text != ";" && list[j].text != "{"; j++) {
      if (list[j + 1].text != "(") continue;
      if (list[j].text.rfind("__", 0) == 0) {
        if (list[j].text == "__launch_bounds__") bounds = firstArgument(text, list, j + 1);
        j = closing(list, j + 1) - 1;
        continue;
      }
      const bool known = std::any_of(result.kernels.begin(), result.kernels.end(),
                                     [&](const KernelName& k) { return k.name == list[j].text; });
      if (!known) result.kernels.push_back({list[j].text, bounds});
      break;
    }
  }
  return result;
}

}  // namespace tutti_emulator
