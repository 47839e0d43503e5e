#pragma once
// Reading the memory of JavaScript's arrays where it is, for calls that copy nothing.

#include <napi.h>

#include <span>
#include <type_traits>
#include <utility>

#include "addon/arguments.h"
#include "core/errors.h"

namespace ddsc::addon {

/// A typed array's own memory, valid while JavaScript keeps the array as it is.
template <class Array>
inline auto borrowed(const Field& field, napi_typedarray_type type) {
  using Element = std::remove_pointer_t<decltype(std::declval<Array>().Data())>;
  if (!field.value.IsTypedArray() || field.value.As<Napi::TypedArray>().TypedArrayType() != type) {
    throw Error("ARGUMENT_TYPE", "expected another typed array for " + field.name);
  }
  const auto array = field.value.As<Array>();
  return std::span<const Element>(array.Data(), array.ElementLength());
}

}  // namespace ddsc::addon
