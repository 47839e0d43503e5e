// An MPI library of two ranks, of which the second does what the first does: it stands in for binary
// interfaces that no library here has. Every handle it is given must be the one of its interface. ABI: 1 the
// standard one, 2 MPICH's (as Intel MPI), 3 Open MPI's. FAULT: 1 an operation never ends, 2 it fails, 3 MPI
// without threads, 4 a function is missing.
#include <cstring>

#ifndef FAULT
#define FAULT 0
#endif

extern "C" {
#if ABI == 2
using Handle = int;
const Handle world = 0x44000000, byte = 0x4c00010d, errorsReturn = 0x54000001, request = 0x2c000001;
constexpr int funneled = 1;
const char version[] = "Intel(R) MPI Library 2021.13 for Linux* OS\n(stand-in)";
#elif ABI == 3
using Handle = void*;
char ompi_mpi_comm_world[64], ompi_mpi_byte[64], ompi_mpi_errors_return[64], pending[64];
const Handle world = ompi_mpi_comm_world, byte = ompi_mpi_byte, errorsReturn = ompi_mpi_errors_return,
             request = pending;
constexpr int funneled = 1;
const char version[] = "Open MPI v5.0.5, package: stand-in";
#else
using Handle = void*;
const Handle world = reinterpret_cast<Handle>(0x101), byte = reinterpret_cast<Handle>(0x247),
             errorsReturn = reinterpret_cast<Handle>(0x142), request = reinterpret_cast<Handle>(0x1000);
constexpr int funneled = 1024;
const char version[] = "A library of MPI 5 (stand-in)";
int MPI_Abi_get_version(int* major, int* minor) {
  *major = 1;
  *minor = 0;
  return 0;
}
#endif

int MPI_Get_library_version(char* text, int* length) {
  std::strcpy(text, version);
  *length = sizeof version - 1;
  return 0;
}
int MPI_Initialized(int* flag) {
  *flag = 0;
  return 0;
}
int MPI_Init_thread(int*, char***, int wanted, int* provided) {
  *provided = FAULT == 3 ? 0 : wanted;
  return wanted == funneled ? 0 : 13;
}
int MPI_Finalize() { return 0; }
int MPI_Comm_rank(Handle comm, int* rank) {
  *rank = 0;
  return comm == world ? 0 : 5;
}
int MPI_Comm_size(Handle comm, int* size) {
  *size = 2;
  return comm == world ? 0 : 5;
}
int MPI_Comm_set_errhandler(Handle comm, Handle handler) {
  return comm == world && handler == errorsReturn ? 0 : 5;
}
int MPI_Error_string(int, char* text, int* length) {
  std::strcpy(text, "the stand-in was given a handle that is none of its own");
  *length = static_cast<int>(std::strlen(text));
  return 0;
}

static int started(Handle type, Handle type2, Handle comm, Handle* out) {
  *out = request;
  if (FAULT == 2) return 16;
  return type == byte && type2 == byte && comm == world ? 0 : 3;
}
#if FAULT != 4
int MPI_Ialltoall(const void* from, int count, Handle type, void* to, int, Handle type2, Handle comm,
                  Handle* out) {
  const auto bytes = static_cast<std::size_t>(count);
  // The other rank, too, sends its first block here.
  std::memcpy(to, from, bytes);
  std::memcpy(static_cast<char*>(to) + bytes, from, bytes);
  return started(type, type2, comm, out);
}
#endif
int MPI_Iallgather(const void* from, int count, Handle type, void* to, int, Handle type2, Handle comm,
                   Handle* out) {
  const auto bytes = static_cast<std::size_t>(count);
  std::memcpy(to, from, bytes);
  std::memcpy(static_cast<char*>(to) + bytes, from, bytes);
  return started(type, type2, comm, out);
}
int MPI_Ibcast(void*, int, Handle type, int, Handle comm, Handle* out) {
  return started(type, type, comm, out);
}
int MPI_Test(Handle* given, int* done, void* status) {
  *done = FAULT == 1 ? 0 : 1;
  std::memset(status, 0, 32);
  return *given == request ? 0 : 7;
}
}
