#include "test/native/cuda/emulator/fiber.h"

#include <cstdint>
#include <cstring>
#include <exception>
#include <utility>

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

// Saves the callee-saved registers on the stack that is left, its top in *from, and goes on from `to`.
extern "C" void ddscSwitchStack(void** from, void* to);

#if defined(__x86_64__)
asm(R"(
  .text
  .globl ddscSwitchStack
  .type ddscSwitchStack, @function
ddscSwitchStack:
  pushq %rbp
  pushq %rbx
  pushq %r12
  pushq %r13
  pushq %r14
  pushq %r15
  movq %rsp, (%rdi)
  movq %rsi, %rsp
  popq %r15
  popq %r14
  popq %r13
  popq %r12
  popq %rbx
  popq %rbp
  ret
  .size ddscSwitchStack, .-ddscSwitchStack
)");
#elif defined(__aarch64__)
asm(R"(
  .text
  .globl ddscSwitchStack
  .type ddscSwitchStack, %function
ddscSwitchStack:
  sub sp, sp, #160
  stp x19, x20, [sp, #0]
  stp x21, x22, [sp, #16]
  stp x23, x24, [sp, #32]
  stp x25, x26, [sp, #48]
  stp x27, x28, [sp, #64]
  stp x29, x30, [sp, #80]
  stp d8, d9, [sp, #96]
  stp d10, d11, [sp, #112]
  stp d12, d13, [sp, #128]
  stp d14, d15, [sp, #144]
  mov x9, sp
  str x9, [x0]
  mov sp, x1
  ldp x19, x20, [sp, #0]
  ldp x21, x22, [sp, #16]
  ldp x23, x24, [sp, #32]
  ldp x25, x26, [sp, #48]
  ldp x27, x28, [sp, #64]
  ldp x29, x30, [sp, #80]
  ldp d8, d9, [sp, #96]
  ldp d10, d11, [sp, #112]
  ldp d12, d13, [sp, #128]
  ldp d14, d15, [sp, #144]
  add sp, sp, #160
  ret
  .size ddscSwitchStack, .-ddscSwitchStack
)");
#else
#error "the CUDA emulator knows no stack switch for this processor; add one here"
#endif

namespace ddsc::cuda::emulator {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr std::size_t kStackBytes = std::size_t{512} << 10;  // red zones widen every frame
#else
constexpr std::size_t kStackBytes = std::size_t{64} << 10;
#endif

}  // namespace

struct Fiber::State {
  std::unique_ptr<std::byte[]> stack{new std::byte[kStackBytes]};
  std::function<void()> body;
  std::exception_ptr thrown;
  void* top = nullptr;     // of this fiber's stack while it is paused
  void* caller = nullptr;  // of resume's caller while it runs
  bool finished = true;
#if defined(__SANITIZE_ADDRESS__)
  void* fakeStack = nullptr;
  void* callerFakeStack = nullptr;
  const void* callerBottom = nullptr;
  std::size_t callerSize = 0;
#endif

  static State*& running() {
    thread_local State* state = nullptr;
    return state;
  }

  void enter() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(&callerFakeStack, stack.get(), kStackBytes);
#endif
    ddscSwitchStack(&caller, top);
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(callerFakeStack, nullptr, nullptr);
#endif
  }

  void leave() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_start_switch_fiber(finished ? nullptr : &fakeStack, callerBottom, callerSize);
#endif
    ddscSwitchStack(&top, caller);
    arrived();
  }

  void arrived() {
#if defined(__SANITIZE_ADDRESS__)
    __sanitizer_finish_switch_fiber(fakeStack, &callerBottom, &callerSize);
#endif
  }

  [[noreturn]] static void main() {
    State& self = *running();
    self.arrived();
    try {
      self.body();
    } catch (...) {
      self.thrown = std::current_exception();
    }
    self.finished = true;
    self.leave();
    std::terminate();  // a finished fiber is never resumed
  }
};

Fiber::Fiber() : state_(std::make_unique<State>()) {}
Fiber::~Fiber() = default;

void Fiber::start(std::function<void()> body) {
  State& s = *state_;
#if defined(__SANITIZE_ADDRESS__)
  s.fakeStack = nullptr;
  // What was dropped half-way left its frames' red zones behind.
  if (!s.finished) __asan_unpoison_memory_region(s.stack.get(), kStackBytes);
#endif
  s.body = std::move(body);
  s.thrown = nullptr;
  s.finished = false;
  // As ddscSwitchStack would have left it, returning into main with the stack aligned as after a call.
  auto address = reinterpret_cast<std::uintptr_t>(s.stack.get() + kStackBytes) & ~std::uintptr_t{15};
  const auto entry = reinterpret_cast<std::uintptr_t>(&State::main);
#if defined(__x86_64__)
  address -= 16;
  std::memset(reinterpret_cast<void*>(address - 48), 0, 64);
  std::memcpy(reinterpret_cast<void*>(address), &entry, sizeof entry);
  address -= 48;
#else
  address -= 160;
  std::memset(reinterpret_cast<void*>(address), 0, 160);
  std::memcpy(reinterpret_cast<void*>(address + 88), &entry, sizeof entry);
#endif
  s.top = reinterpret_cast<void*>(address);
}

void Fiber::resume() {
  State& s = *state_;
  State* const outer = std::exchange(State::running(), &s);
  s.enter();
  State::running() = outer;
  if (s.thrown) std::rethrow_exception(std::exchange(s.thrown, nullptr));
}

void Fiber::pause() { State::running()->leave(); }

bool Fiber::finished() const { return state_->finished; }

}  // namespace ddsc::cuda::emulator
