// Lets the binary run where glibc is older than 2.35. libgcc, linked statically, finds the unwind tables of a
// code address through _dl_find_object, which came with glibc 2.35; without it the binary would not even
// load. This is the same by what every glibc has. Exceptions are how errors leave the addon, one at a time:
// its speed is no matter.
#if defined(__linux__)
#include <features.h>
#endif

#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 35)

#include <dlfcn.h>
#include <link.h>

#include <cstddef>
#include <cstdint>

namespace {

struct Search {
  std::uintptr_t address;
  dl_find_object* found;
};

/// Fills in what is known of an object if the address is in it; 1 ends the iteration.
int visit(dl_phdr_info* object, std::size_t, void* data) {
  auto& search = *static_cast<Search*>(data);
  const ElfW(Phdr)* segment = nullptr;
  const ElfW(Phdr)* tables = nullptr;
  for (const ElfW(Phdr)* header = object->dlpi_phdr; header != object->dlpi_phdr + object->dlpi_phnum;
       ++header) {
    const std::uintptr_t start = object->dlpi_addr + header->p_vaddr;
    if (header->p_type == PT_GNU_EH_FRAME) tables = header;
    if (header->p_type == PT_LOAD && search.address >= start && search.address - start < header->p_memsz)
      segment = header;
  }
  if (segment == nullptr || tables == nullptr) return 0;
  const std::uintptr_t start = object->dlpi_addr + segment->p_vaddr;
  search.found->dlfo_map_start = reinterpret_cast<void*>(start);
  search.found->dlfo_map_end = reinterpret_cast<void*>(start + segment->p_memsz);
  search.found->dlfo_eh_frame = reinterpret_cast<void*>(object->dlpi_addr + tables->p_vaddr);
  return 1;
}

}  // namespace

/// As glibc's, but for the link map, which libgcc has no use for. Hidden, so that only this binary calls it.
extern "C" int _dl_find_object(void* address, dl_find_object* result) noexcept {
  *result = {};
  Search search{reinterpret_cast<std::uintptr_t>(address), result};
  return dl_iterate_phdr(visit, &search) == 1 ? 0 : -1;
}

#endif
