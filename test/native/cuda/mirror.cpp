#include "test/native/cuda/mirror.h"

#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "test/native/harness.h"
#include "test/native/views_of.h"

namespace ddsc::test {
namespace {

/// A view's memory: `rows` runs of `bytes`, `stride` apart.
struct Extent {
  const std::byte* data;
  std::size_t rows, bytes, stride;

  std::size_t total() const { return rows == 0 ? 0 : (rows - 1) * stride + bytes; }
};

template <class T>
Extent extentOf(const Span<T>& view) {
  const auto bytes = static_cast<std::size_t>(view.size) * sizeof(T);
  return {reinterpret_cast<const std::byte*>(view.data), 1, bytes, bytes};
}
Extent extentOf(const ConstMatrix& view) {
  const auto size = static_cast<std::size_t>(sizeOf(view.type));
  return {static_cast<const std::byte*>(view.data), static_cast<std::size_t>(view.rows),
          static_cast<std::size_t>(view.cols) * size, static_cast<std::size_t>(view.stride) * size};
}
Extent extentOf(const Matrix& view) { return extentOf(ConstMatrix(view)); }

class MirrorBackend final : public EveryOp<MirrorBackend> {
 public:
  explicit MirrorBackend(std::unique_ptr<Backend> device) : device_(std::move(device)) {}

  std::string describe() const override { return device_->describe(); }
  int threads() const override { return device_->threads(); }
  DeviceKind kind() const override { return device_->kind(); }
  Limits measureLimits() override { return device_->measureLimits(); }
  void* allocate(std::size_t bytes) override { return std::malloc(bytes > 0 ? bytes : 1); }
  void release(void* memory) noexcept override { std::free(memory); }
  void zero(void* memory, std::size_t bytes) override { std::memset(memory, 0, bytes); }
  void upload(void* to, const void* fromHost, std::size_t bytes) override {
    std::memcpy(to, fromHost, bytes);
  }
  void download(void* toHost, const void* from, std::size_t bytes) override {
    std::memcpy(toHost, from, bytes);
  }

  template <class Op>
  void handle(const Op& original) {
    Op op = original;
    std::vector<Copy> copies;
    forEachView(op, [&](auto& view) { move(view, copies); });
    device_->run(op);
    for (const Copy& copy : copies) copyBack(copy);
  }

 private:
  struct Copy {
    Extent host;
    Buffer device;
    bool written;
    std::vector<std::byte> before;  // what the device was given
  };

  template <class T>
  static constexpr bool isWritten(const Span<T>&) {
    return !std::is_const_v<T>;
  }
  static constexpr bool isWritten(const Matrix&) { return true; }
  static constexpr bool isWritten(const ConstMatrix&) { return false; }

  template <class View>
  void move(View& view, std::vector<Copy>& copies) {
    if (!view) return;
    const Extent host = extentOf(view);
    for (Copy& copy : copies) {
      // One tensor given twice (a result over its input) stays one.
      if (copy.host.data != host.data || copy.host.total() != host.total()) continue;
      copy.written = copy.written || isWritten(view);
      point(view, copy.device);
      return;
    }
    Buffer device(*device_, host.total());
    device_->upload(device.as<std::byte>(), host.data, host.total());
    point(view, device);
    copies.push_back({host, std::move(device), isWritten(view), {host.data, host.data + host.total()}});
  }

  template <class View>
  static void point(View& view, const Buffer& device) {
    view.data = device.as<std::remove_pointer_t<decltype(view.data)>>();
  }

  void copyBack(const Copy& copy) {
    if (!copy.written || copy.host.total() == 0) return;
    std::vector<std::byte> bytes(copy.host.total());
    device_->download(bytes.data(), copy.device.as<std::byte>(), bytes.size());
    // The views that were given belong to the test, which passed them as writable. What lies between the rows
    // may belong to another view (columns of one matrix), so it is compared with what the device was given.
    auto* host = const_cast<std::byte*>(copy.host.data);
    for (std::size_t row = 0; row < copy.host.rows; ++row) {
      const std::size_t at = row * copy.host.stride, gap = at + copy.host.bytes;
      std::memcpy(host + at, bytes.data() + at, copy.host.bytes);
      if (row + 1 < copy.host.rows)
        check(std::memcmp(copy.before.data() + gap, bytes.data() + gap, copy.host.stride - copy.host.bytes) ==
                  0,
              "the gap after row " + std::to_string(row) + " was written");
    }
  }

  std::unique_ptr<Backend> device_;
};

}  // namespace

std::unique_ptr<Backend> mirrorOf(std::unique_ptr<Backend> device) {
  return std::make_unique<MirrorBackend>(std::move(device));
}

}  // namespace ddsc::test
