#pragma once
// TCP sockets that never block.

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>

struct iovec;

namespace ddsc::cluster {

/// An open socket, closed with its owner.
class Socket {
 public:
  Socket() = default;
  explicit Socket(int descriptor) : descriptor_(descriptor) {}
  ~Socket() { close(); }
  Socket(Socket&& other) noexcept : descriptor_(std::exchange(other.descriptor_, kNone)) {}
  Socket& operator=(Socket&& other) noexcept {
    std::swap(descriptor_, other.descriptor_);
    return *this;
  }
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool isOpen() const { return descriptor_ != kNone; }
  int descriptor() const { return descriptor_; }
  void close() noexcept;
  /// No more is sent; the peer hears of it after all that was.
  void endSending() noexcept;

 private:
  static constexpr int kNone = -1;
  int descriptor_ = kNone;
};

/// How much was moved; nothing: the connection is closed or broken, with the reason.
struct Moved {
  std::optional<std::size_t> bytes;
  std::string problem;
};

/// Sends what there is room for, and takes what there is, without waiting.
Moved sendSome(const Socket& socket, iovec* parts, std::size_t count);
Moved receiveSome(const Socket& socket, iovec* parts, std::size_t count);

/// A socket that listens on all addresses, and the port that the system chose. Throws Error CLUSTER_TCP.
struct Listening {
  Socket socket;
  int port;
};
Listening listenAnywhere();

/// The next connection of a listening socket; not open where there is none.
Socket accept(const Socket& listening);

/// Begins to connect to a numeric address; not open where that fails at once. It is connected once it can be
/// written to and `problemOf` has none.
Socket beginConnect(const std::string& host, int port);
std::string problemOf(const Socket& socket);

}  // namespace ddsc::cluster
