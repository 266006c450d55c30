#include "values.h"

#include <cstring>

#include "addon_data.h"

namespace tutti {
namespace {

void setString(napi_env env, napi_value object, const char* name, const std::string& text) {
  napi_value value = nullptr;
  napi_create_string_utf8(env, text.data(), text.size(), &value);
  napi_set_named_property(env, object, name, value);
}

}  // namespace

napi_value toJavaScript(napi_env env, const NativeError& error) {
  napi_value message = nullptr;
  napi_value code = nullptr;
  napi_value object = nullptr;
  napi_value status = nullptr;
  napi_create_string_utf8(env, error.what(), NAPI_AUTO_LENGTH, &message);
  napi_create_string_utf8(env, error.code.data(), error.code.size(), &code);
  if (napi_create_error(env, code, message, &object) != napi_ok) return nullptr;
  setString(env, object, "call", error.call);
  napi_create_int32(env, error.status, &status);
  napi_set_named_property(env, object, "status", status);
  if (!error.log.empty()) setString(env, object, "log", error.log);
  return object;
}

std::uint64_t toSize(const Napi::Value& value, const char* name) {
  constexpr double most = 9007199254740992.0;
  double number = -1;
  napi_get_value_double(value.Env(), value, &number);
  // A comparison that NaN fails.
  if (!(number >= 0 && number <= most) || number != static_cast<double>(static_cast<std::uint64_t>(number))) {
    throw invalidArgument(name, "not a whole number from 0 to 2^53");
  }
  return static_cast<std::uint64_t>(number);
}

std::uint32_t toUint32(const Napi::Value& value, const char* name) {
  const std::uint64_t number = toSize(value, name);
  if (number > 0xffffffff) throw invalidArgument(name, "more than 32 bits");
  return static_cast<std::uint32_t>(number);
}

std::string toString(const Napi::Value& value, const char* name) {
  if (!value.IsString()) throw invalidArgument(name, "not a string");
  return value.As<Napi::String>().Utf8Value();
}

std::vector<std::string> toStrings(const Napi::Value& value, const char* name) {
  if (!value.IsArray()) throw invalidArgument(name, "not an array of strings");
  const Napi::Array array = value.As<Napi::Array>();
  std::vector<std::string> strings;
  for (std::uint32_t at = 0; at < array.Length(); at++) {
    const Napi::Value each = array[at];
    strings.push_back(toString(each, name));
  }
  return strings;
}

namespace {

// Of a typed array of one type; nothing else.
void* contents(const Napi::Value& value, napi_typedarray_type wanted, std::size_t* length, const char* name,
               const char* what) {
  bool isTypedArray = false;
  napi_is_typedarray(value.Env(), value, &isTypedArray);
  napi_typedarray_type type = napi_int8_array;
  void* data = nullptr;
  if (isTypedArray) napi_get_typedarray_info(value.Env(), value, &type, length, &data, nullptr, nullptr);
  if (!isTypedArray || type != wanted) throw invalidArgument(name, std::string("not a ") + what);
  return data;
}

}  // namespace

Bytes toBytes(const Napi::Value& value, const char* name) {
  Bytes bytes{};
  bytes.data = static_cast<unsigned char*>(contents(value, napi_uint8_array, &bytes.size, name, "Uint8Array"));
  return bytes;
}

Words toWords(const Napi::Value& array, const Napi::Value& length) {
  Words words{};
  std::size_t all = 0;
  words.data = static_cast<std::uint32_t*>(contents(array, napi_uint32_array, &all, "words", "Uint32Array"));
  words.length = toUint32(length, "length");
  if (words.length > all) throw invalidArgument("length", "more words than the array has");
  return words;
}

Napi::Uint8Array newBytes(Napi::Env env, std::uint64_t bytes) {
  // By JavaScript's constructor: where memory is short it throws, while the native one ends the process.
  const Napi::Function constructor = env.GetInstanceData<AddonData>()->uint8Array.Value();
  return constructor.New({Napi::Number::New(env, static_cast<double>(bytes))}).As<Napi::Uint8Array>();
}

napi_value toTypedArray(napi_env env, napi_typedarray_type type, const void* data, std::size_t elements,
                        std::size_t elementBytes) {
  napi_value buffer = nullptr;
  napi_value array = nullptr;
  void* bytes = nullptr;
  const std::size_t size = elements * elementBytes;
  if (napi_create_arraybuffer(env, size, &bytes, &buffer) != napi_ok) return nullptr;
  if (size > 0) std::memcpy(bytes, data, size);
  napi_create_typedarray(env, type, elements, buffer, 0, &array);
  return array;
}

}  // namespace tutti
