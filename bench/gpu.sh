#!/usr/bin/env bash
# Everything there is to know about a GPU, with one command on a machine that has CUDA 12 or newer, CMake, a C++
# compiler and Python with PyTorch; Node is not needed:
#
#   bench/gpu.sh [--build-only | --no-build] [--no-sanitizer] [--no-compile] [--seconds S] [--python PYTHON]
#
# Builds the tests and the benchmark for the GPUs that are here (build-gpu/; --no-build: as they were built before, perhaps
# elsewhere with DDSC_CUDA_ARCHITECTURES), runs the op and model tests on the
# device, runs them again under compute-sanitizer (memcheck, racecheck, initcheck), and with plain products by cuBLASLt
# where that is found, measures products (by wgmma, too, where the GPU has it), attention and whole steps beside PyTorch (--no-compile: only as written, since
# compiling its models takes minutes), and ends with one short table. Exit code 0 where all tests passed.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() { sed -n '5s/^# *//p' "$0"; }
build_only=false build=true sanitizer=true peer=() seconds=0.5 python=${DDSC_TORCH_PYTHON:-python3}
while (($# > 0)); do
  case $1 in
    --build-only) build_only=true ;;
    --no-build) build=false ;;
    --no-sanitizer) sanitizer=false ;;
    --no-compile) peer=(--no-compile) ;;
    --seconds | --python)
      (($# > 1)) || { echo "$1 needs a value" >&2; exit 2; }
      printf -v "${1#--}" '%s' "$2"
      shift
      ;;
    --help) usage; exit 0 ;;
    *) usage >&2; exit 2 ;;
  esac
  shift
done

need() { command -v "$1" > /dev/null || { echo "$1 is missing: $2" >&2; exit 1; }; }
if $build; then
  need cmake "install CMake 3.20 or newer"
  [[ -n ${CUDACXX:-} ]] || need nvcc "install the CUDA toolkit and put its bin folder in PATH, or set CUDACXX"
fi
$build_only || need nvidia-smi "this machine has no NVIDIA driver; --build-only builds without one"

# Ours, but where it is said otherwise.
export DDSC_GEMM=own

folder=build-gpu
if $build; then
  cmake -S . -B "$folder" -DCMAKE_BUILD_TYPE=Release --log-level=WARNING \
    ${DDSC_CUDA_ARCHITECTURES:+"-DDDSC_CUDA_ARCHITECTURES=$DDSC_CUDA_ARCHITECTURES"}
  cmake --build "$folder" --parallel "${CMAKE_BUILD_PARALLEL_LEVEL:-$(nproc)}" --target ddsc_gpu_tests ddsc_gpu_bench
fi
if $build_only; then exit 0; fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
summary=()
failed=0

# check NAME COMMAND...: runs the tests once, keeps their last lines for the table.
check() {
  local name=$1 log=$work/log outcome
  shift
  echo "== $name: $*"
  if "$@" > "$log" 2>&1; then outcome=passed; else outcome=FAILED failed=1; fi
  grep -E '^(FAIL|      )|^=========.*(Error|hazard|Invalid|Uninitialized)' "$log" | head -n 40 || true
  summary+=("$(printf '%-12s %-7s %s' "$name" "$outcome" "$(grep -E '^[0-9]+ passed' "$log" | tail -n 1)")")
}

tests=$folder/ddsc_gpu_tests
check tests "$tests"
if $sanitizer; then
  tool=$(command -v compute-sanitizer || true)
  if [[ -z $tool ]]; then
    summary+=("compute-sanitizer is not installed: not run")
  else
    for kind in memcheck racecheck initcheck; do
      check "$kind" "$tool" --tool "$kind" --error-exitcode 9 --print-limit 10 "$tests"
    done
  fi
fi

# cuBLASLt: where the loader finds it, or in the packages that came with PyTorch.
packages=$("$python" -c 'import glob, os, sysconfig
found = sorted(glob.glob(sysconfig.get_path("purelib") + "/nvidia/*/lib/libcublasLt.so.1[23]"))
print(os.path.dirname(found[-1]) if found else "")' 2> /dev/null || true)
[[ -z $packages ]] || export LD_LIBRARY_PATH=${LD_LIBRARY_PATH:+$LD_LIBRARY_PATH:}$packages
library=false
if DDSC_GEMM=cublaslt "$tests" --filter "limits are measured" > "$work/log" 2>&1; then
  library=true
  check cuBLASLt env DDSC_GEMM=cublaslt "$tests" --except "(cuda, float)"
else
  summary+=("cuBLASLt is not run: it $(sed -n 's/^ *DDSC_GEMM asks for cuBLASLt, which //p' "$work/log")")
fi

echo "== benchmark"
"$folder/ddsc_gpu_bench" --json --seconds "$seconds" | tee "$work/ours.jsonl"
if DDSC_GEMM=hopper "$tests" --filter "limits are measured" > "$work/log" 2>&1; then
  echo "== benchmark, products by wgmma"
  DDSC_GEMM=hopper "$folder/ddsc_gpu_bench" --seconds "$seconds" --filter linear
fi
: > "$work/cublaslt.jsonl"
if $library; then
  echo "== benchmark, plain products by cuBLASLt"
  for part in linear "tiny 64" "tiny of counts" "small 64" "small of counts"; do
    DDSC_GEMM=cublaslt "$folder/ddsc_gpu_bench" --json --seconds "$seconds" --filter "$part"
  done | tee "$work/cublaslt.jsonl"
fi
echo
echo "== $(nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,power.limit --format=csv,noheader | head -n 1)"
echo "== commit $(git rev-parse --short HEAD 2> /dev/null || echo unknown), $(date -u +%Y-%m-%d)"
printf '%s\n' "${summary[@]}"
if "$python" -c 'import sys, torch; sys.exit(not torch.cuda.is_available())' 2> /dev/null; then
  "$python" bench/peer/gpu.py --ours "$work/ours.jsonl" --cublaslt "$work/cublaslt.jsonl" --seconds "$seconds" \
    "${peer[@]}"
else
  echo "$python has no PyTorch with CUDA: name one that has with --python"
fi
exit "$failed"
