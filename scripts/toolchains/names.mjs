// Programs of Debian's toolchain for arm64: see linux-arm64.cmake.
export const ARM64_COMPILER = "aarch64-linux-gnu-g++";
export const ARM64_STRIP = "aarch64-linux-gnu-strip";
