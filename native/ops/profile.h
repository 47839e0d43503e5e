#pragma once
#include <memory>
#include <string_view>
#include <vector>

#include "ops/backend.h"
#include "ops/cost.h"

namespace ddsc {

/// What one op, at one place of the network, has taken so far.
struct OpProfile {
  std::string_view op;     // "linear", "weight gradient", "attention", ...; "upload" and the like for memory
  std::string_view place;  // as Backend::at named it; empty for ops with one place
  std::int64_t calls = 0;
  double seconds = 0;
  Cost cost;  // of all calls
};

/// A backend that runs everything on another one and adds up time and cost by op and place. It waits for the
/// device before and after each op: where a device runs ops by itself, times are those of ops one by one.
class ProfilingBackend : public Backend {
 public:
  /// What was recorded since the last call, in the order in which the rows first appeared.
  virtual std::vector<OpProfile> take() = 0;
};

std::unique_ptr<ProfilingBackend> makeProfilingBackend(std::unique_ptr<Backend> backend);

}  // namespace ddsc
