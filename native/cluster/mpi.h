#pragma once
// MPI without its header: the library is found at run time, and which binary interface it has is told by what
// is in it.

#include <memory>
#include <string>
#include <vector>

#include "cluster/transport.h"

namespace ddsc::cluster {

/// The first of these libraries that loads: of Open MPI (4, 5), with MPICH's interface (MPICH, Intel MPI,
/// Cray, MVAPICH) or with the standard interface of MPI 5. Throws Error CLUSTER_MPI_LIBRARY.
std::unique_ptr<Transport> loadMpi(const std::vector<std::string>& names);

}  // namespace ddsc::cluster
