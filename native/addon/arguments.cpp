#include "addon/arguments.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "addon/async.h"

namespace ddsc::addon {

void Field::wrongType(const char* expected) const {
  throw coded(value.Env(), "ARGUMENT_TYPE", "expected " + std::string(expected) + " for " + name);
}

Field Field::operator[](const char* key) const {
  if (!value.IsObject()) wrongType("an object");
  return {value.As<Napi::Object>().Get(key), name + "." + key};
}

double Field::number() const {
  if (!value.IsNumber()) wrongType("a number");
  return value.As<Napi::Number>().DoubleValue();
}

std::int64_t Field::integer() const {
  const double v = number();
  if (!(std::abs(v) <= 9007199254740992.0) || v != std::floor(v)) wrongType("a whole number");
  return static_cast<std::int64_t>(v);
}

std::uint64_t Field::natural() const {
  const std::int64_t v = integer();
  if (v < 0) wrongType("a whole number of at least 0");
  return static_cast<std::uint64_t>(v);
}

bool Field::boolean() const {
  if (!value.IsBoolean()) wrongType("true or false");
  return value.As<Napi::Boolean>().Value();
}

std::string Field::string() const {
  if (!value.IsString()) wrongType("a string");
  return value.As<Napi::String>().Utf8Value();
}

template <class Element>
std::vector<Element> Field::elements(napi_typedarray_type type, const char* expected) const {
  if (!value.IsTypedArray() || value.As<Napi::TypedArray>().TypedArrayType() != type) wrongType(expected);
  const auto array = value.As<Napi::TypedArrayOf<Element>>();
  std::vector<Element> copy(array.ElementLength());
  if (!copy.empty()) std::memcpy(copy.data(), array.Data(), copy.size() * sizeof(Element));
  return copy;
}

std::vector<std::uint8_t> Field::bytes() const {
  return elements<std::uint8_t>(napi_uint8_array, "a Uint8Array");
}
std::vector<std::int32_t> Field::int32s() const {
  return elements<std::int32_t>(napi_int32_array, "an Int32Array");
}
std::vector<float> Field::floats() const { return elements<float>(napi_float32_array, "a Float32Array"); }
std::vector<double> Field::doubles() const { return elements<double>(napi_float64_array, "a Float64Array"); }

std::vector<std::uint64_t> Field::naturals() const {
  const std::vector<double> values = doubles();
  std::vector<std::uint64_t> result;
  result.reserve(values.size());
  for (const double v : values) {
    if (!(v >= 0 && v <= 9007199254740992.0) || v != std::floor(v)) wrongType("whole numbers of at least 0");
    result.push_back(static_cast<std::uint64_t>(v));
  }
  return result;
}

Field argument(const Napi::CallbackInfo& info, std::size_t index, const char* name) {
  return {info[index], name};
}

namespace {
template <class Array, class Element>
Array copied(Napi::Env env, const std::vector<Element>& values) {
  Array array = Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}
}  // namespace

Napi::Float32Array toArray(Napi::Env env, const std::vector<float>& values) {
  return copied<Napi::Float32Array>(env, values);
}
Napi::Float64Array toArray(Napi::Env env, const std::vector<double>& values) {
  return copied<Napi::Float64Array>(env, values);
}
Napi::Int32Array toArray(Napi::Env env, const std::vector<std::int32_t>& values) {
  return copied<Napi::Int32Array>(env, values);
}

}  // namespace ddsc::addon
