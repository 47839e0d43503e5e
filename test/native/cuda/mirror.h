#pragma once
#include <memory>

#include "ops/backend.h"

namespace ddsc::test {

/// A backend whose memory is the host's and whose ops run on `device`: each op's views are copied there, and
/// what it may write is copied back. So the op tests, which keep their tensors in host memory, run on a GPU
/// as they are. Fails the test where an op wrote between the rows of a matrix.
std::unique_ptr<Backend> mirrorOf(std::unique_ptr<Backend> device);

}  // namespace ddsc::test
