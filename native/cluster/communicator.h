#pragma once
// Collectives over the processes of a job, each with an end: done, given up, or out of time.

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "cluster/nccl.h"
#include "cluster/transport.h"
#include "core/errors.h"

namespace ddsc::cluster {

/// The processes of a job. Every process makes the same calls in the same order. Calls may come from any
/// thread and wait for their end there; the transport runs on a thread of its own, which is left behind where
/// a call of a library does not come back.
class Communicator : public std::enable_shared_from_this<Communicator> {
 public:
  /// What was joined.
  struct Membership {
    int rank, size;
    std::string file, version, abi;
  };

  /// `seconds`: after which a call that peers do not answer ends with CLUSTER_TIMEOUT.
  explicit Communicator(double seconds);
  Communicator(const Communicator&) = delete;
  Communicator& operator=(const Communicator&) = delete;

  /// Joins the job over what `make` makes. Throws Error CLUSTER_TIMEOUT and what `make` and the transport
  /// throw: CLUSTER_MPI_LIBRARY and CLUSTER_MPI, or CLUSTER_TCP.
  Membership join(std::function<std::unique_ptr<Transport>()> make);

  /// What each rank gave, in the order of ranks. Throws Error CLUSTER_MPI or CLUSTER_TCP, CLUSTER_PEER_LOST,
  /// CLUSTER_TIMEOUT, what `giveUp` was told, and CLUSTER_MESSAGE for more than kLongestMessage bytes.
  std::vector<std::vector<std::uint8_t>> gather(const std::vector<std::uint8_t>& message);
  static constexpr std::size_t kLongestMessage = std::size_t{64} << 20;

  /// What rank `root` gave. Throws as `gather`.
  std::vector<std::uint8_t> broadcast(const std::vector<std::uint8_t>& message, int root = 0);

  /// Begins to replace values, as many on every rank, by their sums over all ranks: float32, added in the
  /// order of ranks by one of them, so that every rank has the same bits, whichever library and network carry
  /// them. Shared, as a call that is given up may still use them. The function that is returned waits for the
  /// end, once, and throws as `gather`.
  std::function<void()> startSum(const std::shared_ptr<std::vector<float>>& values);
  /// Values that a sum sends at a time, and is best given.
  static constexpr std::int64_t kBucket = std::int64_t{1} << 20;

  /// From here on has NCCL sum what GPUs hold: every rank calls this, with the device current that it sums
  /// on. Waits for all, and throws as `Nccl`, CLUSTER_TIMEOUT, and what `giveUp` was told; all then go on
  /// without.
  void joinNccl(std::shared_ptr<const NcclLibrary> library, const NcclId& id, double seconds);
  /// Forgets about NCCL, as where another rank could not join.
  void dropNccl();
  /// Whether NCCL sums what this backend holds.
  bool sumsOn(const Backend& backend) const;
  /// Begins to replace values, as many on every rank, in the memory of a GPU by their sums over all ranks:
  /// float32, in an order of NCCL's. They are those that the backend has computed from what it was given so
  /// far; what it is given later must leave them alone up to `finishOnDevice`. Throws Error CLUSTER_NCCL,
  /// CLUSTER_PEER_LOST, CLUSTER_TIMEOUT, what `giveUp` was told.
  void startSumOnDevice(Backend& backend, Span<float> values);
  /// Begins to replace values, as many on every rank, in the memory of a GPU by those of rank `root`,
  /// likewise.
  void startBroadcastOnDevice(Backend& backend, Span<float> values, int root);
  /// Waits for all of that. Throws likewise.
  void finishOnDevice(Backend& backend);

  /// Ends the call under way and all later ones with this error, unless another has ended them.
  void giveUp(Error reason);

  /// Leaves the job once all others do. Throws as `gather`; no calls come after it.
  void leave();

 private:
  using Clock = std::chrono::steady_clock;
  using Task = std::function<void()>;

  /// A task and how it ended.
  struct Call {
    Task task;
    bool done = false;
    std::exception_ptr failure;
  };

  /// Has NCCL do something. Throws as `startSumOnDevice`.
  void onDevice(const std::function<void(Nccl&)>& work);
  void run(Task task) { wait(*start(std::move(task))); }
  std::shared_ptr<Call> start(Task task);
  void wait(const Call& call);
  void loop();
  /// Waits for what was started.
  void finish();
  void throwIfGivenUp();
  /// Throws where this is given up, and after that time from now.
  std::function<void()> untilDeadline(Clock::duration within);
  std::string lateness(Clock::duration waited) const;
  /// The error that ends this, once it is told who was lost and why, which takes a moment longer than to see
  /// that a connection is closed.
  std::exception_ptr giveUpSoon(const Error& error);
  std::uint8_t* outgoing(std::size_t bytes);
  std::uint8_t* incoming(std::size_t bytes);

  const Clock::duration limit_;

  mutable std::mutex mutex_;
  std::condition_variable changed_, ended_;
  std::deque<std::shared_ptr<Call>> waiting_;
  bool started_ = false, left_ = false;
  std::shared_ptr<Nccl> nccl_;
  std::optional<Error> reason_;
  std::string code_ = "CLUSTER_MPI";  // the transport's
  std::atomic<bool> givenUp_ = false;

  // The thread's alone. What MPI may be writing to is freed with the thread: see `loop`.
  std::unique_ptr<Transport> transport_;
  int rank_ = 0, size_ = 1;
  std::vector<std::uint8_t> outgoing_, incoming_;
};

}  // namespace ddsc::cluster
