#include "cluster/communicator.h"

#include <algorithm>
#include <cstring>
#include <thread>
#include <utility>

namespace ddsc::cluster {
namespace {

/// A message up to so many bytes goes with its length, in one operation.
constexpr std::size_t kShort = 256;
/// An operation of MPI counts bytes in ints; no more than this at once, of all ranks together.
constexpr std::size_t kAtOnce = std::size_t{1} << 30;
/// Values of a rank's part of a sum: a line of the cache.
constexpr std::size_t kLine = 16;

/// Rounds of waiting without sleep, then the sleeps: ranks often share processors.
constexpr int kEager = 200;
constexpr std::chrono::microseconds kNap{20}, kSleep{200};
constexpr int kNaps = 2000;
/// How long the reason of a lost peer may take to come: see PeerWatch.
constexpr std::chrono::milliseconds kWord{500};
/// How long NCCL may take to leave.
constexpr std::chrono::seconds kLeaving{10};

std::size_t inLines(std::size_t values) { return (values + kLine - 1) / kLine * kLine; }

}  // namespace

Communicator::Communicator(double seconds)
    : limit_(std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds))) {}

Communicator::Membership Communicator::join(std::function<std::unique_ptr<Transport>()> make) {
  // Shared with the task: a call that is given up does not wait for it.
  const auto joined = std::make_shared<Membership>();
  run([this, joined, make = std::move(make)] {
    transport_ = make();
    {
      const std::lock_guard lock(mutex_);
      code_ = transport_->code();
    }
    transport_->initialise();
    rank_ = transport_->rank();
    size_ = transport_->size();
    *joined = {rank_, size_, transport_->file, transport_->version, transport_->abi};
  });
  return *joined;
}

std::vector<std::vector<std::uint8_t>> Communicator::gather(const std::vector<std::uint8_t>& message) {
  require(message.size() <= kLongestMessage, "CLUSTER_MESSAGE", "a message between ranks is too long");
  const auto gathered = std::make_shared<std::vector<std::vector<std::uint8_t>>>();
  run([this, gathered, message] {
    const auto size = static_cast<std::size_t>(size_);
    // Its length, and as much of it as there is room for.
    constexpr std::size_t kHead = sizeof(std::uint64_t) + kShort;
    std::uint8_t* const out = outgoing(kHead);
    std::uint8_t* in = incoming(kHead * size);
    const std::uint64_t length = message.size();
    std::memset(out, 0, kHead);
    std::memcpy(out, &length, sizeof length);
    if (!message.empty()) std::memcpy(out + sizeof length, message.data(), std::min(kShort, message.size()));
    transport_->startAllGather(out, in, kHead);
    finish();
    std::vector<std::uint64_t> lengths(size);
    std::uint64_t longest = 0;
    for (std::size_t r = 0; r < size; ++r) {
      std::memcpy(&lengths[r], in + r * kHead, sizeof(std::uint64_t));
      require(lengths[r] <= kLongestMessage, "CLUSTER_MESSAGE", "ranks do not speak the same language");
      longest = std::max(longest, lengths[r]);
      const std::uint8_t* const begin = in + r * kHead + sizeof(std::uint64_t);
      gathered->emplace_back(begin, begin + std::min<std::size_t>(kShort, lengths[r]));
    }
    const std::size_t most = std::max<std::size_t>(kLine, kAtOnce / size);
    for (std::size_t at = kShort; at < longest; at += most) {
      const std::size_t part = std::min<std::size_t>(most, longest - at);
      std::uint8_t* const rest = outgoing(part);
      in = incoming(part * size);
      std::memset(rest, 0, part);
      if (at < message.size()) std::memcpy(rest, message.data() + at, std::min(part, message.size() - at));
      transport_->startAllGather(rest, in, static_cast<int>(part));
      finish();
      for (std::size_t r = 0; r < size; ++r) {
        if (lengths[r] <= at) continue;
        const std::uint8_t* const begin = in + r * part;
        (*gathered)[r].insert((*gathered)[r].end(), begin,
                              begin + std::min<std::size_t>(part, lengths[r] - at));
      }
    }
  });
  return std::move(*gathered);
}

std::vector<std::uint8_t> Communicator::broadcast(const std::vector<std::uint8_t>& message, int root) {
  require(message.size() <= kLongestMessage, "CLUSTER_MESSAGE", "a message between ranks is too long");
  const auto received = std::make_shared<std::vector<std::uint8_t>>();
  run([this, received, message, root] {
    std::uint64_t length = rank_ == root ? message.size() : 0;
    std::uint8_t* block = outgoing(sizeof length);
    std::memcpy(block, &length, sizeof length);
    transport_->startBroadcast(block, sizeof length, root);
    finish();
    std::memcpy(&length, block, sizeof length);
    require(length <= kLongestMessage, "CLUSTER_MESSAGE", "ranks do not speak the same language");
    if (length == 0) return;
    block = outgoing(static_cast<std::size_t>(length));
    if (rank_ == root) std::memcpy(block, message.data(), message.size());
    transport_->startBroadcast(block, static_cast<int>(length), root);
    finish();
    received->assign(block, block + length);
  });
  return std::move(*received);
}

std::function<void()> Communicator::startSum(const std::shared_ptr<std::vector<float>>& values) {
  const auto call = start([this, values] {
    const auto size = static_cast<std::size_t>(size_);
    const auto bucket = static_cast<std::size_t>(kBucket);
    for (std::size_t at = 0; at < values->size(); at += bucket) {
      float* const mine = values->data() + at;
      const std::size_t count = std::min(bucket, values->size() - at);
      // Each rank adds up one part of the values.
      const std::size_t part = inLines((count + size - 1) / size);
      const auto bytes = static_cast<int>(part * sizeof(float));
      float* const out = reinterpret_cast<float*>(outgoing(part * size * sizeof(float)));
      float* const in = reinterpret_cast<float*>(incoming(part * size * sizeof(float)));
      std::memcpy(out, mine, count * sizeof(float));
      std::memset(out + count, 0, (part * size - count) * sizeof(float));
      transport_->startAllToAll(out, in, bytes);
      finish();
      for (std::size_t r = 1; r < size; ++r) {
        const float* const other = in + r * part;
        for (std::size_t i = 0; i < part; ++i) in[i] += other[i];
      }
      transport_->startAllGather(in, out, bytes);
      finish();
      std::memcpy(mine, out, count * sizeof(float));
    }
  });
  return [self = shared_from_this(), call] { self->wait(*call); };
}

void Communicator::joinNccl(std::shared_ptr<const NcclLibrary> library, const NcclId& id, double seconds) {
  const auto within = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  auto joined = std::make_shared<Nccl>(std::move(library), id, rank_, size_, untilDeadline(within));
  const std::lock_guard lock(mutex_);
  nccl_ = std::move(joined);
}

void Communicator::dropNccl() {
  std::shared_ptr<Nccl> dropped;  // given up once the lock is
  const std::lock_guard lock(mutex_);
  dropped.swap(nccl_);
}

bool Communicator::sumsOn(const Backend& backend) const {
  const std::lock_guard lock(mutex_);
  return nccl_ != nullptr && backend.kind() == DeviceKind::gpu;
}

void Communicator::startSumOnDevice(Backend& backend, Span<float> values) {
  onDevice([&](Nccl& nccl) { nccl.startSum(backend, values, untilDeadline(limit_)); });
}

void Communicator::startBroadcastOnDevice(Backend& backend, Span<float> values, int root) {
  onDevice([&](Nccl& nccl) { nccl.startBroadcast(backend, values, root, untilDeadline(limit_)); });
}

void Communicator::finishOnDevice(Backend& backend) {
  onDevice([&](Nccl& nccl) { nccl.finish(backend, untilDeadline(limit_)); });
}

void Communicator::onDevice(const std::function<void(Nccl&)>& work) {
  std::shared_ptr<Nccl> nccl;
  {
    const std::lock_guard lock(mutex_);
    if (reason_) throw Error(*reason_);
    nccl = nccl_;
  }
  require(nccl != nullptr, "CLUSTER_NCCL", "NCCL was not joined");
  try {
    work(*nccl);
  } catch (const Error& error) {
    std::rethrow_exception(giveUpSoon(error));
  }
}

std::function<void()> Communicator::untilDeadline(Clock::duration within) {
  return [this, within, deadline = Clock::now() + within] {
    throwIfGivenUp();
    if (Clock::now() >= deadline) throw Error("CLUSTER_TIMEOUT", lateness(within));
  };
}

std::string Communicator::lateness(Clock::duration waited) const {
  return "rank " + std::to_string(rank_) + " of " + std::to_string(size_) + " waited for its peers for " +
         std::to_string(std::chrono::duration_cast<std::chrono::seconds>(waited).count()) +
         " s: one of them hangs, or its network is down; the last checkpoint stands (DDSC_CLUSTER_TIMEOUT "
         "sets "
         "the seconds)";
}

void Communicator::giveUp(Error reason) {
  std::shared_ptr<Nccl> nccl;
  {
    const std::lock_guard lock(mutex_);
    if (reason_) return;
    reason_ = std::move(reason);
    givenUp_ = true;
    nccl = nccl_;
  }
  // The device would wait for peers that may be gone, and with it who waits for the device. It may take a
  // moment.
  if (nccl != nullptr) std::thread([nccl] { nccl->giveUp(); }).detach();
  changed_.notify_all();
  ended_.notify_all();
}

void Communicator::leave() {
  std::shared_ptr<Nccl> nccl;
  {
    const std::lock_guard lock(mutex_);
    nccl = std::exchange(nccl_, nullptr);
  }
  // All ranks leave: what they wait for comes.
  try {
    if (nccl != nullptr) nccl->leave(untilDeadline(kLeaving));
  } catch (const Error&) {
    // It was given up instead; the work is done.
  }
  run([this] {
    if (transport_ != nullptr) transport_->finalise();
    const std::lock_guard lock(mutex_);
    left_ = true;
  });
}

std::shared_ptr<Communicator::Call> Communicator::start(Task task) {
  const auto call = std::make_shared<Call>();
  call->task = std::move(task);
  const std::lock_guard lock(mutex_);
  if (reason_) throw Error(*reason_);
  if (left_) throw Error(code_, "the cluster was left");
  if (!started_) {
    started_ = true;
    // Not joined: a call of the library may never come back, and the program must end all the same.
    std::thread([self = shared_from_this()] { self->loop(); }).detach();
  }
  waiting_.push_back(call);
  changed_.notify_all();
  return call;
}

void Communicator::wait(const Call& call) {
  std::unique_lock lock(mutex_);
  // A little more than what the operations in the call have each, so that their own message comes first.
  const bool inTime = ended_.wait_for(lock, limit_ + std::chrono::seconds(5),
                                      [&] { return call.done || reason_.has_value(); });
  if (call.done) {
    if (call.failure) std::rethrow_exception(call.failure);
    return;
  }
  if (inTime) throw Error(*reason_);
  throw Error("CLUSTER_TIMEOUT",
              "no answer came within the time limit; a peer may hang, "
              "or its network be down");
}

void Communicator::loop() {
  for (;;) {
    std::shared_ptr<Call> call;
    {
      std::unique_lock lock(mutex_);
      changed_.wait(lock, [&] { return left_ || givenUp_ || !waiting_.empty(); });
      if (left_) return;
      // The thread stays, with the memory that MPI may still write to, to the end of the process.
      if (givenUp_) changed_.wait(lock, [] { return false; });
      call = std::move(waiting_.front());
      waiting_.pop_front();
    }
    std::exception_ptr failure;
    try {
      call->task();
    } catch (const Error& error) {
      failure = giveUpSoon(error);  // an operation may be under way still
    } catch (const std::exception& error) {
      failure = std::current_exception();
      giveUp(Error(transport_ != nullptr ? transport_->code() : "CLUSTER_MPI", error.what()));
    }
    {
      const std::lock_guard lock(mutex_);
      call->failure = failure;
      call->done = true;
    }
    ended_.notify_all();
  }
}

std::exception_ptr Communicator::giveUpSoon(const Error& error) {
  if (error.code() == "CLUSTER_PEER_LOST" || error.code() == "CLUSTER_NCCL") {
    std::unique_lock lock(mutex_);
    ended_.wait_for(lock, kWord, [&] { return reason_.has_value(); });
  }
  giveUp(error);
  const std::lock_guard lock(mutex_);
  return std::make_exception_ptr(Error(*reason_));
}

void Communicator::finish() {
  const Clock::time_point deadline = Clock::now() + limit_;
  for (int round = 0; !transport_->test(); ++round) {
    throwIfGivenUp();
    if (round < kEager) {
      std::this_thread::yield();
      continue;
    }
    if (Clock::now() >= deadline) {
      throw Error("CLUSTER_TIMEOUT", lateness(limit_));
    }
    std::this_thread::sleep_for(round < kEager + kNaps ? kNap : kSleep);
  }
}

void Communicator::throwIfGivenUp() {
  if (!givenUp_) return;
  const std::lock_guard lock(mutex_);
  throw Error(*reason_);
}

std::uint8_t* Communicator::outgoing(std::size_t bytes) {
  if (outgoing_.size() < bytes) outgoing_.resize(bytes);
  return outgoing_.data();
}

std::uint8_t* Communicator::incoming(std::size_t bytes) {
  if (incoming_.size() < bytes) incoming_.resize(bytes);
  return incoming_.data();
}

}  // namespace ddsc::cluster
