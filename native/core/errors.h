#pragma once
#include <stdexcept>
#include <string>
#include <utility>

namespace ddsc {

/// Carries a stable code across the addon's border, where it becomes a DdscError.
class Error : public std::runtime_error {
 public:
  Error(std::string code, const std::string& message) : std::runtime_error(message), code_(std::move(code)) {}
  const std::string& code() const { return code_; }

 private:
  std::string code_;
};

/// Throws Error{code, message} unless `good`.
inline void require(bool good, const char* code, const char* message) {
  if (!good) throw Error(code, message);
}

}  // namespace ddsc
