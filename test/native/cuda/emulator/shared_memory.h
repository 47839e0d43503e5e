#pragma once
// A block's shared memory with a shadow of who touched what when: finds reads of what another thread wrote
// with no barrier in between, writes over what another thread may still be reading, reads of what nobody
// wrote, and asynchronous copies used before they were waited for. Test-only.

#include <cstddef>
#include <cstdint>
#include <vector>

namespace ddsc::cuda::emulator {

/// A moment in a block as one thread sees it: block barriers, and barriers of its warp, passed so far.
struct Moment {
  std::int32_t thread = 0;
  std::uint32_t block = 0, warp = 0;
};

class SharedMemory {
 public:
  /// Empty memory of a new block; `first` is its first moment.
  void begin(std::size_t bytes, std::uint32_t first);

  std::byte* data() { return memory_; }

  // Each throws std::runtime_error saying what is wrong, or returns. Small reads are answered here where
  // nothing is new: what a barrier made visible, or the thread wrote, read again by the same thread or warp.
  void read(const Moment& now, const void* address, std::size_t bytes, std::size_t alignment) {
    const std::size_t offset = offsetOf(address);
    if (offset % alignment == 0 && offset < size_ && bytes <= kInlineBytes && bytes <= size_ - offset) {
      const Cell* cell = &cells_[offset / kGranule];
      const Cell* const end = cell + (bytes + kGranule - 1) / kGranule;
      while (cell != end && cell->settledFor(now, first_)) ++cell;
      if (cell == end) return;
    }
    readSlowly(now, place(offset, bytes, alignment), bytes);
  }
  void write(const Moment& now, const void* address, std::size_t bytes, std::size_t alignment) {
    write(now, place(offsetOf(address), bytes, alignment), bytes);
  }
  /// An asynchronous copy into these bytes is under way ...
  void copyBegins(const Moment& now, const void* address, std::size_t bytes);
  /// ... and has landed: a write of the thread that waited for it.
  void copyLands(const Moment& now, const void* address, std::size_t bytes);

 private:
  static constexpr std::size_t kGranule = 2, kInlineBytes = 16;
  static constexpr std::int32_t kNobody = -1, kSeveral = -2;  // -3 - w: several threads of warp w
  /// Of two bytes, the smallest element there is.
  struct Cell {
    Moment writer, reader;
    bool copying = false;

    bool settledFor(const Moment& now, std::uint32_t first) const {
      return !copying && writer.block >= first && (writer.block < now.block || writer.thread == now.thread) &&
             reader.block == now.block &&
             (reader.thread == kSeveral ||
              (reader.warp == now.warp &&
               (reader.thread == now.thread || reader.thread == -3 - now.thread / 32)));
    }
  };
  std::size_t offsetOf(const void* address) const {
    return static_cast<std::size_t>(reinterpret_cast<std::uintptr_t>(address) -
                                    reinterpret_cast<std::uintptr_t>(memory_));
  }
  std::size_t place(std::size_t offset, std::size_t bytes, std::size_t alignment) const;
  void readSlowly(const Moment& now, std::size_t offset, std::size_t bytes);
  void write(const Moment& now, std::size_t offset, std::size_t bytes);
  template <class Body>
  void forEach(std::size_t offset, std::size_t bytes, const Body& body);
  void checkNotRead(const Cell& cell, const Moment& now) const;

  std::vector<std::byte> storage_;
  std::byte* memory_ = nullptr;
  std::size_t size_ = 0;
  std::uint32_t first_ = 0;
  std::vector<Cell> cells_;
};

}  // namespace ddsc::cuda::emulator
