#pragma once
// Collectives over sockets of our own, for launchers that start processes without MPI: every rank holds a
// connection to every other.

#include <memory>
#include <string>
#include <vector>

#include "cluster/sockets.h"
#include "cluster/transport.h"

namespace ddsc::cluster {

/// Where a rank listens.
struct TcpPeer {
  std::vector<std::string> hosts;  // numeric addresses, best first
  int port = 0;
};

/// What a rank knows once all have met: see lib/cluster/rendezvous.ts.
struct TcpJob {
  int rank = 0;
  std::string token;           // what only ranks of the job know, 64 characters
  std::vector<TcpPeer> peers;  // by rank, this one too
  double seconds = 0;          // that connecting may take
};

/// Connections between each two ranks: the higher connects, and each proves that it knows the token. This
/// rank's own place is empty. Throws Error CLUSTER_TCP naming the ranks that are missing.
std::vector<Socket> connectAll(const Socket& listening, const TcpJob& job);

/// Joins the job when it is initialised. A rank whose connection is closed is lost: Error CLUSTER_PEER_LOST.
std::unique_ptr<Transport> makeTcp(Socket listening, TcpJob job);

}  // namespace ddsc::cluster
