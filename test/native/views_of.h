#pragma once
// Every view of an op, found by the compiler: for tests that treat all ops alike (moving an op's memory to a
// device and back, say).

#include <tuple>
#include <type_traits>

#include "core/views.h"

namespace ddsc::test {

namespace fields {

struct Anything {
  template <class T>
  operator T() const;
};

/// Fields of a plain struct: as many as it can be initialised with.
template <class Struct, class... Known>
consteval int countOf() {
  if constexpr (requires { Struct{Known{}..., Anything{}}; })
    return countOf<Struct, Known..., Anything>();
  else
    return sizeof...(Known);
}

/// The fields of a plain struct, by reference.
template <class Struct>
auto of(Struct& value) {
  constexpr int count = countOf<Struct>();
  static_assert(count >= 2 && count <= 15, "add a case below");
  if constexpr (count == 2) {
    auto& [a, b] = value;
    return std::tie(a, b);
  } else if constexpr (count == 3) {
    auto& [a, b, c] = value;
    return std::tie(a, b, c);
  } else if constexpr (count == 4) {
    auto& [a, b, c, d] = value;
    return std::tie(a, b, c, d);
  } else if constexpr (count == 5) {
    auto& [a, b, c, d, e] = value;
    return std::tie(a, b, c, d, e);
  } else if constexpr (count == 6) {
    auto& [a, b, c, d, e, f] = value;
    return std::tie(a, b, c, d, e, f);
  } else if constexpr (count == 7) {
    auto& [a, b, c, d, e, f, g] = value;
    return std::tie(a, b, c, d, e, f, g);
  } else if constexpr (count == 8) {
    auto& [a, b, c, d, e, f, g, h] = value;
    return std::tie(a, b, c, d, e, f, g, h);
  } else if constexpr (count == 9) {
    auto& [a, b, c, d, e, f, g, h, i] = value;
    return std::tie(a, b, c, d, e, f, g, h, i);
  } else if constexpr (count == 10) {
    auto& [a, b, c, d, e, f, g, h, i, j] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j);
  } else if constexpr (count == 11) {
    auto& [a, b, c, d, e, f, g, h, i, j, k] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k);
  } else if constexpr (count == 12) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l);
  } else if constexpr (count == 13) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m);
  } else if constexpr (count == 14) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n);
  } else if constexpr (count == 15) {
    auto& [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o] = value;
    return std::tie(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o);
  }
}

template <class T>
inline constexpr bool isView = std::is_same_v<T, Matrix> || std::is_same_v<T, ConstMatrix>;
template <class T>
inline constexpr bool isView<Span<T>> = true;

}  // namespace fields

/// visit(view) for each Span, Matrix and ConstMatrix in the order of declaration, empty ones included.
template <class T, class F>
void forEachView(T& value, const F& visit) {
  if constexpr (fields::isView<T>) {
    visit(value);
  } else if constexpr (std::is_class_v<T>) {
    std::apply([&](auto&... field) { (forEachView(field, visit), ...); }, fields::of(value));
  }
}

}  // namespace ddsc::test
