#pragma once
// Checked reading of JavaScript values: a wrong type ends in ARGUMENT_TYPE naming the field. Arrays are
// copied, so that JavaScript may change or drop them while a call runs.

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace ddsc::addon {

/// A field of an object, with its name for messages.
struct Field {
  Napi::Value value;
  std::string name;

  bool missing() const { return value.IsUndefined() || value.IsNull(); }
  Field operator[](const char* key) const;

  double number() const;
  std::int64_t integer() const;
  /// A whole number 0 .. 2^53.
  std::uint64_t natural() const;
  bool boolean() const;
  std::string string() const;

  std::vector<std::uint8_t> bytes() const;
  std::vector<std::int32_t> int32s() const;
  std::vector<float> floats() const;
  std::vector<double> doubles() const;
  /// Float64Array of whole numbers >= 0.
  std::vector<std::uint64_t> naturals() const;

 private:
  [[noreturn]] void wrongType(const char* expected) const;
  template <class Element>
  std::vector<Element> elements(napi_typedarray_type type, const char* expected) const;
};

/// Argument number `index` of a call.
Field argument(const Napi::CallbackInfo& info, std::size_t index, const char* name);

Napi::Float32Array toArray(Napi::Env env, const std::vector<float>& values);
Napi::Float64Array toArray(Napi::Env env, const std::vector<double>& values);
Napi::Int32Array toArray(Napi::Env env, const std::vector<std::int32_t>& values);

}  // namespace ddsc::addon
