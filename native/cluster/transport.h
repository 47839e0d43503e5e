#pragma once
// What carries the collectives: MPI (mpi.h), or sockets of our own (tcp.h).

#include <string>

namespace ddsc::cluster {

/// The few operations that the collectives are made of, over all processes of the job. All calls on one
/// thread, the one that called `initialise`; one operation at a time.
class Transport {
 public:
  Transport() = default;
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  /// File of the library as it was asked for, its own name and version in one line, and its binary interface.
  /// Where there is no library: no file, and the protocol in the place of both others.
  std::string file, version, abi;
  /// Of errors that say no more than that it failed.
  virtual const char* code() const = 0;

  /// Joins the job, and lets errors be returned where it can.
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

}  // namespace ddsc::cluster
