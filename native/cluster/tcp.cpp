#include "cluster/tcp.h"

#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <utility>

#include "core/errors.h"

namespace ddsc::cluster {
namespace {

using Clock = std::chrono::steady_clock;

/// A call of `test` looks for so long for something to do, and comes back after so long whatever there is.
constexpr int kIdleMilliseconds = 1;
constexpr std::chrono::milliseconds kBusy{20};
/// How long leaving waits for peers to leave.
constexpr std::chrono::seconds kLeaving{5};

/// Every block goes behind one of these, which tell that ranks make the same calls.
struct Frame {
  std::uint64_t operation = 0, bytes = 0;
};

/// Blocks under way to and from a rank.
struct Channel {
  Socket socket;
  Frame sent, received;
  // The frame and the block; what is left of them.
  std::array<iovec, 2> out{}, in{};

  bool isSending() const { return out[0].iov_len + out[1].iov_len > 0; }
  bool isReceiving() const { return in[0].iov_len + in[1].iov_len > 0; }
};

/// Takes what was moved off the beginning.
void advance(std::array<iovec, 2>& parts, std::size_t bytes) {
  for (iovec& part : parts) {
    const std::size_t taken = std::min(bytes, part.iov_len);
    part.iov_base = static_cast<char*>(part.iov_base) + taken;
    part.iov_len -= taken;
    bytes -= taken;
  }
}

/// The parts that are left, which empty ones do not precede.
std::pair<iovec*, std::size_t> left(std::array<iovec, 2>& parts) {
  const std::size_t first = parts[0].iov_len == 0 ? 1 : 0;
  return {parts.data() + first, parts.size() - first};
}

class Tcp final : public Transport {
 public:
  Tcp(Socket listening, TcpJob job) : listening_(std::move(listening)), job_(std::move(job)) {
    version = abi = "TCP";
  }

  const char* code() const override { return "CLUSTER_TCP"; }

  void initialise() override {
    std::vector<Socket> sockets = connectAll(listening_, job_);
    listening_.close();
    channels_.resize(sockets.size());
    for (std::size_t r = 0; r < sockets.size(); ++r) channels_[r].socket = std::move(sockets[r]);
  }

  int rank() override { return job_.rank; }
  int size() override { return static_cast<int>(job_.peers.size()); }

  void startAllToAll(const void* from, void* to, int bytes) override {
    ++operation_;
    const auto block = static_cast<std::size_t>(bytes);
    copyOwn(from, block * own(), to, block);
    for (std::size_t r = 0; r < channels_.size(); ++r) {
      if (r == own()) continue;
      send(channels_[r], static_cast<const char*>(from) + r * block, block);
      receive(channels_[r], static_cast<char*>(to) + r * block, block);
    }
  }

  void startAllGather(const void* from, void* to, int bytes) override {
    ++operation_;
    const auto block = static_cast<std::size_t>(bytes);
    copyOwn(from, 0, to, block);
    for (std::size_t r = 0; r < channels_.size(); ++r) {
      if (r == own()) continue;
      send(channels_[r], from, block);
      receive(channels_[r], static_cast<char*>(to) + r * block, block);
    }
  }

  void startBroadcast(void* block, int bytes, int root) override {
    ++operation_;
    const auto size = static_cast<std::size_t>(bytes);
    if (root != job_.rank) {
      receive(channels_[static_cast<std::size_t>(root)], block, size);
      return;
    }
    for (std::size_t r = 0; r < channels_.size(); ++r)
      if (r != own()) send(channels_[r], block, size);
  }

  bool test() override {
    const Clock::time_point end = Clock::now() + kBusy;
    do {
      std::vector<pollfd>& waiting = waiting_;
      waiting.clear();
      ranks_.clear();
      for (std::size_t r = 0; r < channels_.size(); ++r) {
        const Channel& channel = channels_[r];
        const int events = (channel.isSending() ? POLLOUT : 0) | (channel.isReceiving() ? POLLIN : 0);
        if (events == 0) continue;
        waiting.push_back({channel.socket.descriptor(), static_cast<short>(events), 0});
        ranks_.push_back(r);
      }
      if (waiting.empty()) return true;
      if (::poll(waiting.data(), static_cast<nfds_t>(waiting.size()), kIdleMilliseconds) <= 0) return false;
      for (std::size_t i = 0; i < waiting.size(); ++i)
        if (waiting[i].revents != 0) move(ranks_[i]);
    } while (Clock::now() < end);
    return false;
  }

  void finalise() override {
    for (Channel& channel : channels_) channel.socket.endSending();
    const Clock::time_point end = Clock::now() + kLeaving;
    for (Channel& channel : channels_) {
      std::array<char, 256> ignored{};
      while (channel.socket.isOpen() && Clock::now() < end) {
        pollfd state{channel.socket.descriptor(), POLLIN, 0};
        if (::poll(&state, 1, kIdleMilliseconds) <= 0) continue;
        iovec rest{ignored.data(), ignored.size()};
        if (!receiveSome(channel.socket, &rest, 1).bytes) channel.socket.close();
      }
    }
    channels_.clear();
  }

 private:
  std::size_t own() const { return static_cast<std::size_t>(job_.rank); }

  void copyOwn(const void* from, std::size_t offset, void* to, std::size_t block) {
    if (block > 0)
      std::memcpy(static_cast<char*>(to) + block * own(), static_cast<const char*>(from) + offset, block);
  }

  void send(Channel& channel, const void* block, std::size_t bytes) {
    channel.sent = {operation_, bytes};
    channel.out = {iovec{&channel.sent, sizeof(Frame)}, iovec{const_cast<void*>(block), bytes}};
  }

  void receive(Channel& channel, void* block, std::size_t bytes) {
    channel.in = {iovec{&channel.received, sizeof(Frame)}, iovec{block, bytes}};
    expected_ = bytes;
  }

  /// Moves what can be moved to and from a rank.
  void move(std::size_t rank) {
    Channel& channel = channels_[rank];
    if (channel.isReceiving()) {
      const auto [parts, count] = left(channel.in);
      const bool awaitsFrame = channel.in[0].iov_len > 0;
      const Moved moved = receiveSome(channel.socket, parts, awaitsFrame ? 1 : count);
      if (!moved.bytes) lost(rank, moved.problem);
      advance(channel.in, *moved.bytes);
      if (awaitsFrame && channel.in[0].iov_len == 0) {
        const Frame& frame = channel.received;
        require(
            frame.operation == operation_ && frame.bytes == expected_, "CLUSTER_MESSAGE",
            "ranks do not make the same calls: start the same version of the package with the same options "
            "everywhere");
      }
    }
    if (channel.isSending()) {
      const auto [parts, count] = left(channel.out);
      const Moved moved = sendSome(channel.socket, parts, count);
      if (!moved.bytes) lost(rank, moved.problem);
      advance(channel.out, *moved.bytes);
    }
  }

  [[noreturn]] void lost(std::size_t rank, const std::string& problem) const {
    throw Error("CLUSTER_PEER_LOST",
                "rank " + std::to_string(rank) + " ended without a word (" + problem +
                    "): it was killed, or crashed; this rank (" + std::to_string(job_.rank) +
                    ") ends with it. The last checkpoint stands: go on from it with --resume, with as many "
                    "processes as you like");
  }

  Socket listening_;
  const TcpJob job_;
  std::vector<Channel> channels_;
  std::uint64_t operation_ = 0;
  std::size_t expected_ = 0;
  std::vector<pollfd> waiting_;
  std::vector<std::size_t> ranks_;
};

}  // namespace

std::unique_ptr<Transport> makeTcp(Socket listening, TcpJob job) {
  return std::make_unique<Tcp>(std::move(listening), std::move(job));
}

}  // namespace ddsc::cluster
