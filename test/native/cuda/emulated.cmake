# ddsc_emulated_cuda: the CUDA sources compiled for the host, against the emulator.
file(GLOB cuda_kernels CONFIGURE_DEPENDS native/cuda/ops/*.cu)
set(emulated_kernels "")
foreach(kernel IN LISTS cuda_kernels)
  get_filename_component(name ${kernel} NAME_WE)
  file(CONFIGURE OUTPUT "${CMAKE_BINARY_DIR}/emulated/${name}.cpp" CONTENT "#include \"cuda/ops/${name}.cu\"\n")
  list(APPEND emulated_kernels "${CMAKE_BINARY_DIR}/emulated/${name}.cpp")
endforeach()
file(GLOB cuda_host_sources CONFIGURE_DEPENDS native/cuda/*.cpp native/cuda/cublaslt/*.cpp
  test/native/cuda/emulator/*.cpp)
list(FILTER cuda_host_sources EXCLUDE REGEX "/no_cuda\\.cpp$")
add_library(ddsc_emulated_cuda STATIC EXCLUDE_FROM_ALL ${emulated_kernels} ${cuda_host_sources})
# test/native/cuda is where primitives.cuh and launch.cuh find the emulator.
target_include_directories(ddsc_emulated_cuda PUBLIC
  ${CMAKE_CURRENT_SOURCE_DIR} ${CMAKE_CURRENT_SOURCE_DIR}/test/native/cuda)
target_link_libraries(ddsc_emulated_cuda PUBLIC ddsc_core PRIVATE ${CMAKE_DL_LIBS})
target_compile_definitions(ddsc_emulated_cuda PRIVATE DDSC_HOPPER_CODE)
# nvcc's pragmas; nobody else calls functions with these vectors.
target_compile_options(ddsc_emulated_cuda PUBLIC -Wno-unknown-pragmas -Wno-psabi)
