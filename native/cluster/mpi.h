#pragma once
// MPI without its header: the library is found at run time, and which binary interface it has is told by what
// is in it.

#include <memory>
#include <string>
#include <vector>

namespace ddsc::cluster {

/// The few calls of MPI that the collectives are made of, on all processes of the job. All of them on one
/// thread, the one that called `initialise`; one operation at a time.
class Mpi {
 public:
  Mpi() = default;
  virtual ~Mpi() = default;
  Mpi(const Mpi&) = delete;
  Mpi& operator=(const Mpi&) = delete;

  /// File of the library as it was asked for, its own name and version in one line, and its binary interface.
  std::string file, version, abi;

  /// Joins the job, and lets errors be returned where the library can.
  virtual void initialise() = 0;
  virtual int rank() = 0;
  virtual int size() = 0;

  /// Block r of `from` goes to rank r, whose block for this rank comes into block r of `to`. `bytes` of one
  /// block.
  virtual void startAllToAll(const void* from, void* to, int bytes) = 0;
  /// The block of each rank comes into block r of `to`.
  virtual void startAllGather(const void* from, void* to, int bytes) = 0;
  /// The block of `root` comes to all.
  virtual void startBroadcast(void* block, int bytes, int root) = 0;
  /// Lets what was started go on; whether it is done.
  virtual bool test() = 0;

  /// Leaves the job, which waits for all others to.
  virtual void finalise() = 0;
};

/// The first of these libraries that loads: of Open MPI (4, 5), with MPICH's interface (MPICH, Intel MPI,
/// Cray, MVAPICH) or with the standard interface of MPI 5. Throws Error CLUSTER_MPI_LIBRARY.
std::unique_ptr<Mpi> loadMpi(const std::vector<std::string>& names);

}  // namespace ddsc::cluster
