#include "cluster/sockets.h"

#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "core/errors.h"

namespace ddsc::cluster {
namespace {

#ifdef MSG_NOSIGNAL
constexpr int kNoSignal = MSG_NOSIGNAL;
#else
constexpr int kNoSignal = 0;  // SO_NOSIGPIPE below
#endif
/// Connections that wait to be accepted, at most: all ranks may come at once.
constexpr int kBacklog = 4096;

std::string words(int error) { return std::strerror(error); }

void set(int descriptor, int level, int option) {
  const int on = 1;
  static_cast<void>(setsockopt(descriptor, level, option, &on, sizeof on));
}

/// Not passed on to programs that are started, and never waits.
void tame(int descriptor) {
  static_cast<void>(fcntl(descriptor, F_SETFD, FD_CLOEXEC));
  static_cast<void>(fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) | O_NONBLOCK));
#ifdef SO_NOSIGPIPE
  set(descriptor, SOL_SOCKET, SO_NOSIGPIPE);
#endif
}

void tameConnection(int descriptor) {
  tame(descriptor);
  set(descriptor, IPPROTO_TCP, TCP_NODELAY);
  set(descriptor, SOL_SOCKET, SO_KEEPALIVE);
}

bool wouldWait(int error) { return error == EAGAIN || error == EWOULDBLOCK || error == EINTR; }

Moved moved(ssize_t bytes) {
  if (bytes >= 0) return {static_cast<std::size_t>(bytes), ""};
  const int error = errno;
  if (wouldWait(error)) return {0, ""};
  return {std::nullopt, words(error)};
}

msghdr messageOf(iovec* parts, std::size_t count) {
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = static_cast<decltype(message.msg_iovlen)>(count);
  return message;
}

/// Bound to a port that the system chooses, for one family of addresses; not open where there is none.
Socket bound(int family) {
  Socket opened(::socket(family, SOCK_STREAM, 0));
  if (!opened.isOpen()) return {};
  tame(opened.descriptor());
  sockaddr_storage address{};
  socklen_t length = sizeof(sockaddr_in);
  if (family == AF_INET6) {
    const int both = 0;  // addresses of IPv4, too
    if (setsockopt(opened.descriptor(), IPPROTO_IPV6, IPV6_V6ONLY, &both, sizeof both) != 0) return {};
    length = sizeof(sockaddr_in6);
  }
  address.ss_family = static_cast<sa_family_t>(family);
  if (::bind(opened.descriptor(), reinterpret_cast<const sockaddr*>(&address), length) != 0) return {};
  if (::listen(opened.descriptor(), kBacklog) != 0) return {};
  return opened;
}

}  // namespace

void Socket::close() noexcept {
  if (isOpen()) ::close(std::exchange(descriptor_, kNone));
}

void Socket::endSending() noexcept {
  if (isOpen()) static_cast<void>(::shutdown(descriptor_, SHUT_WR));
}

Moved sendSome(const Socket& socket, iovec* parts, std::size_t count) {
  const msghdr message = messageOf(parts, count);
  return moved(::sendmsg(socket.descriptor(), &message, kNoSignal));
}

Moved receiveSome(const Socket& socket, iovec* parts, std::size_t count) {
  msghdr message = messageOf(parts, count);
  const ssize_t bytes = ::recvmsg(socket.descriptor(), &message, 0);
  if (bytes == 0) return {std::nullopt, "the connection was closed"};
  return moved(bytes);
}

Listening listenAnywhere() {
  Socket socket = bound(AF_INET6);
  if (!socket.isOpen()) socket = bound(AF_INET);
  if (!socket.isOpen()) throw Error("CLUSTER_TCP", "no port can be listened on: " + words(errno));
  sockaddr_storage address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket.descriptor(), reinterpret_cast<sockaddr*>(&address), &length) != 0)
    throw Error("CLUSTER_TCP", "no port can be listened on: " + words(errno));
  const in_port_t port = address.ss_family == AF_INET6
                             ? reinterpret_cast<const sockaddr_in6&>(address).sin6_port
                             : reinterpret_cast<const sockaddr_in&>(address).sin_port;
  return {std::move(socket), ntohs(port)};
}

Socket accept(const Socket& listening) {
  Socket accepted(::accept(listening.descriptor(), nullptr, nullptr));
  if (accepted.isOpen()) tameConnection(accepted.descriptor());
  return accepted;
}

Socket beginConnect(const std::string& host, int port) {
  addrinfo hints{};
  hints.ai_flags = AI_NUMERICHOST | AI_NUMERICSERV;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (::getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &found) != 0) return {};
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> owner(found, &::freeaddrinfo);
  Socket socket(::socket(found->ai_family, SOCK_STREAM, 0));
  if (!socket.isOpen()) return {};
  tameConnection(socket.descriptor());
  if (::connect(socket.descriptor(), found->ai_addr, found->ai_addrlen) != 0 && errno != EINPROGRESS)
    return {};
  return socket;
}

std::string problemOf(const Socket& socket) {
  int error = 0;
  socklen_t length = sizeof error;
  if (::getsockopt(socket.descriptor(), SOL_SOCKET, SO_ERROR, &error, &length) != 0) error = errno;
  return error == 0 ? "" : words(error);
}

}  // namespace ddsc::cluster
