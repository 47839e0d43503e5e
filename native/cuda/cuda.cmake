# ddsc_cuda: the CUDA backend where NVIDIA's compiler is found (12.0 or newer), otherwise no_cuda.cpp,
# which says why there is none. Links cudart statically; the driver's library is loaded when the program runs,
# so the same binary serves machines without one.
#
#   DDSC_CUDA                 OFF leaves the backend out
#   DDSC_CUDA_ARCHITECTURES   native: machine code for this machine's GPUs, or PTX where it has none, which
#                             takes the least time to build; release: machine code for all that are supported
#                             and PTX for those to come; or a list as CMAKE_CUDA_ARCHITECTURES takes it
option(DDSC_CUDA "Build the CUDA backend where nvcc is found" ON)
set(DDSC_CUDA_ARCHITECTURES "native" CACHE STRING "GPUs to build for: native, release or a list")

# PTX of this is turned into machine code by the driver of any GPU that is supported.
set(oldest_ptx 80-virtual)

# Sets `result` to the architectures of the GPUs that are here and supported.
function(find_gpus result)
  set(found "")
  find_program(DDSC_NVIDIA_SMI nvidia-smi)
  mark_as_advanced(DDSC_NVIDIA_SMI)
  if(DDSC_NVIDIA_SMI)
    execute_process(COMMAND ${DDSC_NVIDIA_SMI} --query-gpu=compute_cap --format=csv,noheader
      OUTPUT_VARIABLE listed RESULT_VARIABLE failure ERROR_QUIET TIMEOUT 20)
    if(failure EQUAL 0)
      string(REGEX MATCHALL "[0-9]+\\.[0-9]+" capabilities "${listed}")
      foreach(capability IN LISTS capabilities)
        string(REPLACE "." "" number ${capability})
        if(number EQUAL 90)
          list(APPEND found 90a-real)
        elseif(number GREATER_EQUAL 80 AND number LESS_EQUAL 90)
          list(APPEND found ${number}-real)
        elseif(number GREATER 90)
          # Perhaps newer than the compiler.
          list(APPEND found ${oldest_ptx})
        endif()
      endforeach()
      list(REMOVE_DUPLICATES found)
    endif()
  endif()
  set(${result} "${found}" PARENT_SCOPE)
endfunction()

set(cuda_missing "")
if(NOT DDSC_CUDA)
  set(cuda_missing "it was left out (DDSC_CUDA=OFF)")
elseif(APPLE)
  set(cuda_missing "there is none for this system")
else()
  include(CheckLanguage)
  check_language(CUDA)
  if(CMAKE_CUDA_COMPILER)
    if(DDSC_CUDA_ARCHITECTURES STREQUAL "release")
      set(CMAKE_CUDA_ARCHITECTURES 80-real 86-real 89-real 90a-real 90-virtual)
    elseif(DDSC_CUDA_ARCHITECTURES STREQUAL "native")
      find_gpus(CMAKE_CUDA_ARCHITECTURES)
      if(NOT CMAKE_CUDA_ARCHITECTURES)
        set(CMAKE_CUDA_ARCHITECTURES ${oldest_ptx})
      endif()
    else()
      set(CMAKE_CUDA_ARCHITECTURES ${DDSC_CUDA_ARCHITECTURES})
    endif()
    enable_language(CUDA)
    if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.0)
      set(cuda_missing "nvcc ${CMAKE_CUDA_COMPILER_VERSION} was found when it was built, and 12.0 is needed")
    endif()
    if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
      # CMake up to 3.25 does not know that nvcc knows C++20.
      set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
      set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
    endif()
  else()
    set(cuda_missing "no working CUDA compiler (nvcc) was found when it was built")
  endif()
endif()

if(cuda_missing)
  add_library(ddsc_cuda STATIC native/cuda/no_cuda.cpp)
  target_compile_definitions(ddsc_cuda PRIVATE "DDSC_CUDA_MISSING=\"${cuda_missing}\"")
  target_link_libraries(ddsc_cuda PUBLIC ddsc_core)
  message(STATUS "No CUDA backend: ${cuda_missing}")
else()
  file(GLOB cuda_sources CONFIGURE_DEPENDS
    native/cuda/*.cpp native/cuda/cublaslt/*.cpp native/cuda/*.cu native/cuda/ops/*.cu)
  list(FILTER cuda_sources EXCLUDE REGEX "/no_cuda\\.cpp$")
  add_library(ddsc_cuda STATIC ${cuda_sources})
  find_package(CUDAToolkit REQUIRED)
  target_link_libraries(ddsc_cuda PUBLIC ddsc_core PRIVATE CUDA::cudart_static ${CMAKE_DL_LIBS})
  set_target_properties(ddsc_cuda PROPERTIES CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
  if(CMAKE_CUDA_ARCHITECTURES MATCHES "(^|;)90a(-real)?(;|$)")
    target_compile_definitions(ddsc_cuda PRIVATE DDSC_HOPPER_CODE)
  endif()
  if(CMAKE_CUDA_COMPILER_VERSION VERSION_LESS 12.8)
    set(compression -Xfatbin=-compress-all)
  else()
    set(compression --compress-mode=size)
  endif()
  target_compile_options(ddsc_cuda PRIVATE $<$<COMPILE_LANGUAGE:CUDA>:${compression}>)
  if(DDSC_WARNINGS_AS_ERRORS)
    # 554: a conversion that is never used, in what nvcc makes of the sources. A kernel that spills registers is
    # an error too, where machine code is made.
    target_compile_options(ddsc_cuda PRIVATE
      "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings -diag-suppress 554 -Xptxas -warn-spills -Xcompiler=-Wall,-Wextra>")
  endif()
  message(STATUS "CUDA backend: nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${CMAKE_CUDA_ARCHITECTURES}")
endif()
