// Between JavaScript's values and C++'s. Everything that comes in is checked.
#pragma once

#include <napi.h>

#include <cstdint>
#include <new>
#include <string>
#include <vector>

#include "../errors.h"

namespace tutti {

// An Error with `code`, `call`, `status`, and `log` where there is one. Null where the environment is going.
napi_value toJavaScript(napi_env env, const NativeError& error);

// A whole number from 0 to 2^53, as addresses and sizes are. The name is that of the argument, for the message.
std::uint64_t toSize(const Napi::Value& value, const char* name);
std::uint32_t toUint32(const Napi::Value& value, const char* name);
std::string toString(const Napi::Value& value, const char* name);
std::vector<std::string> toStrings(const Napi::Value& value, const char* name);

struct Bytes {
  const unsigned char* data;
  std::size_t size;
};
// Of a Uint8Array, where they are.
Bytes toBytes(const Napi::Value& value, const char* name);

struct Words {
  const std::uint32_t* data;
  std::size_t length;
};
// The first words of a Uint32Array.
Words toWords(const Napi::Value& array, const Napi::Value& length);

// A Uint8Array of so many bytes; a JavaScript exception where there is no room for it.
Napi::Uint8Array newBytes(Napi::Env env, std::uint64_t bytes);

// A typed array with a copy of so many elements; null where there is no room for it, or the environment is going.
napi_value toTypedArray(napi_env env, napi_typedarray_type type, const void* data, std::size_t elements,
                        std::size_t elementBytes);

// Runs a method's body: what it throws becomes a JavaScript exception.
template <typename Body>
auto guarded(napi_env env, Body&& body) -> decltype(body()) {
  try {
    return body();
  } catch (const NativeError& error) {
    throw Napi::Error(env, toJavaScript(env, error));
  } catch (const Napi::Error&) {
    throw;
  } catch (const std::bad_alloc&) {
    throw Napi::Error(env, toJavaScript(env, NativeError("OUT_OF_HOST_MEMORY", "", 0, "no host memory is left")));
  } catch (const std::exception& error) {
    // No thread could be started, say. Past this point it would end the process.
    throw Napi::Error(env, toJavaScript(env, NativeError("INTERNAL", "", 0, error.what())));
  }
}

}  // namespace tutti
