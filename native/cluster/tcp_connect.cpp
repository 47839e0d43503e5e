#include <poll.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <list>
#include <utility>

#include "cluster/tcp.h"
#include "core/errors.h"

namespace ddsc::cluster {
namespace {

using Clock = std::chrono::steady_clock;

/// How long an address gets to be reached, and a peer that is to answer: it may be busy.
constexpr std::chrono::seconds kReach{3}, kAnswer{20};
/// Until the addresses of a rank are tried again.
constexpr std::chrono::milliseconds kAgain{500};
constexpr std::size_t kToken = 64;
/// Connections that have not proved themselves, at most, beyond those of ranks.
constexpr std::size_t kStrangers = 64;

/// What both sides of a connection say first. A machine of another byte order is no peer.
struct Greeting {
  std::uint64_t protocol = 0x3150435463736464;  // "ddscTCP1"
  std::array<char, kToken> token{};
  std::uint32_t from = 0, to = 0;
};
static_assert(sizeof(Greeting) == 80);

/// Takes the same time wherever they differ.
bool isSame(const std::array<char, kToken>& a, const std::array<char, kToken>& b) {
  unsigned difference = 0;
  for (std::size_t i = 0; i < kToken; ++i) difference |= static_cast<unsigned>(a[i] ^ b[i]);
  return difference == 0;
}

/// A connection that has not proved to be a rank's yet.
struct Candidate {
  Socket socket;
  Clock::time_point deadline;
  bool isConnecting = false;  // where this side connects, and is not connected
  int rank = -1;              // that it was made to; -1: it was accepted
  Greeting greeting{};        // as far as it came
  std::size_t received = 0;
};

/// A rank that this one connects to.
struct Target {
  std::size_t nextHost = 0;
  bool isTried = false;  // a candidate is under way
  Clock::time_point nextTry;
  std::string problem = "it was not tried";
};

class Connecting {
 public:
  Connecting(const Socket& listening, const TcpJob& job)
      : listening_(listening),
        job_(job),
        peers_(job.peers.size()),
        targets_(static_cast<std::size_t>(job.rank)) {
    require(job.token.size() == kToken, "CLUSTER_TCP", "the token of the job has a wrong length");
    std::copy(job.token.begin(), job.token.end(), token_.begin());
  }

  std::vector<Socket> run() {
    const Clock::time_point deadline = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                                          std::chrono::duration<double>(job_.seconds));
    while (!isComplete()) {
      if (Clock::now() >= deadline) throw Error("CLUSTER_TCP", missing());
      tryTargets();
      wait();
      admit();
      candidates_.remove_if([this](Candidate& candidate) { return isOver(candidate); });
    }
    return std::move(peers_);
  }

 private:
  bool isComplete() const {
    for (std::size_t r = 0; r < peers_.size(); ++r)
      if (static_cast<int>(r) != job_.rank && !peers_[r].isOpen()) return false;
    return true;
  }

  std::string missing() const {
    std::string ranks, problem;
    for (std::size_t r = 0; r < peers_.size(); ++r) {
      if (static_cast<int>(r) == job_.rank || peers_[r].isOpen()) continue;
      ranks += (ranks.empty() ? "" : ", ") + std::to_string(r);
      if (problem.empty() && r < targets_.size())
        problem = "; rank " + std::to_string(r) + ": " + targets_[r].problem;
    }
    return "rank " + std::to_string(job_.rank) + " has no connection to rank " + ranks + problem +
           "; ranks connect to one another on ports that the system chooses: see to it that no firewall "
           "keeps "
           "them from it";
  }

  void tryTargets() {
    const Clock::time_point now = Clock::now();
    for (std::size_t r = 0; r < targets_.size(); ++r) {
      Target& target = targets_[r];
      if (target.isTried || peers_[r].isOpen() || now < target.nextTry) continue;
      const TcpPeer& peer = job_.peers[r];
      if (target.nextHost == peer.hosts.size()) {
        target.nextHost = 0;
        target.nextTry = now + kAgain;
        continue;
      }
      const std::string& host = peer.hosts[target.nextHost++];
      target.problem = host + " port " + std::to_string(peer.port) + " does not answer";
      Socket socket = beginConnect(host, peer.port);
      if (!socket.isOpen()) continue;
      target.isTried = true;
      candidates_.push_back({std::move(socket), now + kReach, true, static_cast<int>(r), {}, 0});
    }
  }

  void wait() {
    std::vector<pollfd> waiting{{listening_.descriptor(), POLLIN, 0}};
    for (const Candidate& candidate : candidates_) {
      const short events = candidate.isConnecting ? POLLOUT : POLLIN;
      waiting.push_back({candidate.socket.descriptor(), events, 0});
    }
    constexpr int kMilliseconds = 50;  // deadlines are looked at
    static_cast<void>(::poll(waiting.data(), static_cast<nfds_t>(waiting.size()), kMilliseconds));
  }

  void admit() {
    while (candidates_.size() < 2 * peers_.size() + kStrangers) {
      Socket socket = accept(listening_);
      if (!socket.isOpen()) return;
      candidates_.push_back({std::move(socket), Clock::now() + kAnswer, false, -1, {}, 0});
    }
  }

  /// Whether a candidate is a candidate no more: a peer, or nobody.
  bool isOver(Candidate& candidate) {
    const std::string problem = advance(candidate);
    const bool isPeer = !candidate.socket.isOpen();
    if (problem.empty() && !isPeer && Clock::now() < candidate.deadline) return false;
    if (candidate.rank >= 0) {
      Target& target = targets_[static_cast<std::size_t>(candidate.rank)];
      target.isTried = false;
      if (!problem.empty()) target.problem += " (" + problem + ")";
    }
    return true;
  }

  /// Goes on with a candidate as far as it can; why it cannot be a peer, if it cannot.
  std::string advance(Candidate& candidate) {
    if (candidate.isConnecting) {
      pollfd state{candidate.socket.descriptor(), POLLOUT, 0};
      if (::poll(&state, 1, 0) == 0) return "";
      if (std::string problem = problemOf(candidate.socket); !problem.empty()) return problem;
      candidate.isConnecting = false;
      candidate.deadline = Clock::now() + kAnswer;
      if (!greet(candidate.socket, candidate.rank)) return "the connection was closed";
    }
    iovec rest{reinterpret_cast<char*>(&candidate.greeting) + candidate.received,
               sizeof(Greeting) - candidate.received};
    const Moved moved = receiveSome(candidate.socket, &rest, 1);
    if (!moved.bytes) return moved.problem;
    candidate.received += *moved.bytes;
    if (candidate.received < sizeof(Greeting)) return "";
    return take(candidate);
  }

  std::string take(Candidate& candidate) {
    const Greeting& said = candidate.greeting;
    const bool isOfJob = said.protocol == Greeting{}.protocol && isSame(said.token, token_) &&
                         said.to == static_cast<std::uint32_t>(job_.rank) && said.from < peers_.size();
    if (!isOfJob) return "another program answers there";
    const int from = static_cast<int>(said.from);
    Socket& place = peers_[said.from];
    const bool isExpected = candidate.rank >= 0 ? from == candidate.rank : from > job_.rank;
    if (!isExpected || place.isOpen()) return "another rank answers there";
    if (candidate.rank < 0 && !greet(candidate.socket, from)) return "the connection was closed";
    place = std::move(candidate.socket);
    return "";
  }

  /// So few bytes have room in a new connection.
  bool greet(const Socket& socket, int to) {
    Greeting own;
    own.token = token_;
    own.from = static_cast<std::uint32_t>(job_.rank);
    own.to = static_cast<std::uint32_t>(to);
    iovec whole{&own, sizeof own};
    const Moved moved = sendSome(socket, &whole, 1);
    return moved.bytes == sizeof own;
  }

  const Socket& listening_;
  const TcpJob& job_;
  std::array<char, kToken> token_{};
  std::vector<Socket> peers_;
  std::vector<Target> targets_;
  std::list<Candidate> candidates_;
};

}  // namespace

std::vector<Socket> connectAll(const Socket& listening, const TcpJob& job) {
  return Connecting(listening, job).run();
}

}  // namespace ddsc::cluster
