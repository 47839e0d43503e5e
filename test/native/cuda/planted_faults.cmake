# Programs that must fail: the emulated tests with one mistake in one kernel, of the kinds that are made. The
# sources that ship know nothing of it: a copy is changed, and the build stops where the line to change is gone.
#
# plant_fault(NAME UNIT FILE LINE REPLACEMENT): ddsc_fault_NAME is ddsc_emulated with native/cuda/ops/UNIT.cu
# compiled anew, LINE of native/cuda/FILE (which UNIT includes or is) replaced.
function(plant_fault name unit file line replacement)
  set(source "${CMAKE_CURRENT_SOURCE_DIR}/native/cuda/${file}")
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS "${source}")
  file(READ "${source}" text)
  string(REPLACE "${line}" "${replacement}" faulty "${text}")
  string(FIND "${text}" "${line}" first)
  string(FIND "${text}" "${line}" last REVERSE)
  if(first EQUAL -1 OR NOT first EQUAL last)
    message(FATAL_ERROR "the fault ${name} is to replace '${line}', which ${file} does not have exactly once")
  endif()

  set(folder "${CMAKE_BINARY_DIR}/faults/${name}")
  file(CONFIGURE OUTPUT "${folder}/cuda/${file}" CONTENT "@faulty@" @ONLY)
  file(CONFIGURE OUTPUT "${folder}/${unit}.cpp" CONTENT "#include \"cuda/ops/${unit}.cu\"\n" @ONLY)
  # The archive's own copy of the unit is not taken: everything in it is here already.
  add_test_program(ddsc_fault_${name} ddsc_emulated_cuda "${folder}/${unit}.cpp" ${emulated_objects})
  target_include_directories(ddsc_fault_${name} BEFORE PRIVATE "${folder}")
  set(faulty_programs ${faulty_programs} ddsc_fault_${name} PARENT_SCOPE)
endfunction()

plant_fault(missing_barrier linear product/product_bf16.cuh
  "syncBlock();  // this tile is here, and nobody reads the one before it" "")
plant_fault(wrong_fragment attention ops/attention.cuh
  "multiplyAccumulate(sums[2 * i], left, right[0], right[1]);"
  "multiplyAccumulate(sums[2 * i], left, right[0], right[2]);")
plant_fault(unguarded_tail linear product/product.cuh
  "if (at.row + row >= allRows || at.col + col >= allCols) continue;"
  "if (at.row + row > allRows || at.col + col >= allCols) continue;")
