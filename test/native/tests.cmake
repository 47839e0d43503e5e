# The conformance tests and benchmarks: ddsc_checks is all of them. Each source is compiled once for all programs.

# What every backend passes, with main() and helpers. A program that has it says what it runs on: CPU or GPU.
set(cpu_only "/(cost_test|count_values_test|harness_test|masking_test|(count_)?memory_plan_test|model_instruction_sets_test|profile_test)\\.cpp$")
file(GLOB shared_tests CONFIGURE_DEPENDS test/native/*.cpp test/native/ops/*.cpp test/native/model/*.cpp)
set(cpu_tests ${shared_tests})
list(FILTER cpu_tests INCLUDE REGEX "${cpu_only}")
list(FILTER shared_tests EXCLUDE REGEX "${cpu_only}")
file(GLOB other_cpu_tests CONFIGURE_DEPENDS
  test/native/core/*.cpp test/native/cpu/*.cpp test/native/cells/*.cpp test/native/parquet/*.cpp
  test/native/zstandard/*.cpp)
if(DDSC_SANITIZE STREQUAL "thread")
  # Only tests about threads run there: other files of tests need not be compiled.
  foreach(test IN LISTS shared_tests cpu_tests other_cpu_tests)
    set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${test}")
    file(STRINGS "${test}" threads REGEX "thread" LIMIT_COUNT 1)
    if(test MATCHES "_test\\.cpp$" AND NOT threads)
      list(REMOVE_ITEM shared_tests "${test}")
      list(REMOVE_ITEM cpu_tests "${test}")
      list(REMOVE_ITEM other_cpu_tests "${test}")
    endif()
  endforeach()
endif()
add_library(ddsc_tests OBJECT EXCLUDE_FROM_ALL ${shared_tests})
target_link_libraries(ddsc_tests PRIVATE ddsc_options)
# Tests name their own headers from the root, native's from native/.
target_include_directories(ddsc_tests PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
# Tests take longer to compile than to run: little is gained by optimising them.
set(test_options $<$<CONFIG:Release>:-O1>)
target_compile_options(ddsc_tests PRIVATE ${test_options})
target_precompile_headers(ddsc_tests PRIVATE test/native/harness.h test/native/support.h)
set(test_objects $<TARGET_OBJECTS:ddsc_tests>)
if("amx" IN_LIST extended_sets)
  add_kernels(amx_emulated EXCLUDE_FROM_ALL ${extended_sources})
  list(APPEND test_objects $<TARGET_OBJECTS:ddsc_kernels_amx_emulated>)
endif()

# add_test_program(NAME LIBRARY SOURCE...)
function(add_test_program name library)
  add_executable(${name} EXCLUDE_FROM_ALL ${ARGN})
  target_link_libraries(${name} PRIVATE ${library})
  target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
endfunction()

add_library(ddsc_cpu_tests OBJECT EXCLUDE_FROM_ALL ${cpu_tests} ${other_cpu_tests})
target_link_libraries(ddsc_cpu_tests PRIVATE ddsc_options)
target_include_directories(ddsc_cpu_tests PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
target_compile_options(ddsc_cpu_tests PRIVATE ${test_options})
target_precompile_headers(ddsc_cpu_tests REUSE_FROM ddsc_tests)
add_test_program(ddsc_conformance ddsc_core $<TARGET_OBJECTS:ddsc_cpu_tests> ${test_objects})

# The CUDA sources on the emulator, and what tests the emulator itself.
file(GLOB cuda_tests CONFIGURE_DEPENDS test/native/cuda/*.cpp)
file(GLOB emulator_tests CONFIGURE_DEPENDS test/native/cuda/emulated/*.cpp)
add_library(ddsc_emulated_tests OBJECT EXCLUDE_FROM_ALL ${cuda_tests} ${emulator_tests})
target_link_libraries(ddsc_emulated_tests PRIVATE ddsc_emulated_cuda)
target_compile_options(ddsc_emulated_tests PRIVATE ${test_options})
set(emulated_objects $<TARGET_OBJECTS:ddsc_emulated_tests> ${test_objects})
# What takes the place of NVIDIA's cuBLASLt in these tests.
add_library(ddsc_fake_cublaslt MODULE EXCLUDE_FROM_ALL test/native/cuda/fake/cublaslt.cpp)
target_link_libraries(ddsc_fake_cublaslt PRIVATE ddsc_options)
target_include_directories(ddsc_fake_cublaslt PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
set_target_properties(ddsc_fake_cublaslt PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}")
set_property(SOURCE test/native/cuda/emulated/cublaslt_test.cpp APPEND PROPERTY
  COMPILE_DEFINITIONS "DDSC_FAKE_CUBLASLT=\"$<TARGET_FILE:ddsc_fake_cublaslt>\"")
add_test_program(ddsc_emulated ddsc_emulated_cuda ${emulated_objects})
add_dependencies(ddsc_emulated ddsc_fake_cublaslt)
include(test/native/cuda/planted_faults.cmake)

file(GLOB benchmarks CONFIGURE_DEPENDS bench/native/*.cpp)
add_test_program(ddsc_bench ddsc_core ${benchmarks})

# The same tests, but for the emulator's own, on a GPU, and what bench/gpu.sh measures there. On the emulator the benchmark
# is only for the compiler to see.
file(GLOB gpu_benchmarks CONFIGURE_DEPENDS bench/native/cuda/*.cpp)
list(APPEND gpu_benchmarks bench/native/main.cpp bench/native/bench.cpp)
add_test_program(ddsc_emulated_bench ddsc_emulated_cuda ${gpu_benchmarks})
if(NOT cuda_missing)
  add_test_program(ddsc_gpu_tests ddsc_cuda ${cuda_tests} ${test_objects})
  add_test_program(ddsc_gpu_bench ddsc_cuda ${gpu_benchmarks})
endif()

# Inline functions compiled with AVX flags must not replace the generic copies when linked.
foreach(target IN LISTS kernel_targets)
  file(GENERATE OUTPUT "${CMAKE_BINARY_DIR}/${target}.objects" CONTENT "$<JOIN:$<TARGET_OBJECTS:${target}>,\n>\n")
endforeach()

# By itself only where there is no addon to be built.
set(by_itself ALL)
if(DEFINED CMAKE_JS_INC)
  set(by_itself "")
endif()
add_custom_target(ddsc_checks ${by_itself})
add_dependencies(ddsc_checks ddsc_conformance ddsc_emulated ${faulty_programs} ddsc_bench ddsc_emulated_bench)
