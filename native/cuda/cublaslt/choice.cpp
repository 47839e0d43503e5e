#include "cuda/cublaslt/choice.h"

#include <cstdlib>
#include <string>
#include <string_view>

#include "core/errors.h"
#include "cuda/cublaslt/trial.h"
#include "cuda/devices.h"

namespace ddsc::cuda::cublaslt {

Choice choiceFromEnvironment() {
  const char* const given = std::getenv("DDSC_GEMM");
  const std::string_view word = given == nullptr ? "" : given;
  if (word.empty() || word == "own") return Choice::own;
  if (word == "cublaslt") return Choice::library;
  if (word == "auto") return Choice::measured;
  throw Error("GEMM_UNKNOWN",
              "expected own, cublaslt or auto for DDSC_GEMM but received \"" + std::string(word) + "\"");
}

std::unique_ptr<Products> chosenProducts(Context& context) {
  const Choice choice = choiceFromEnvironment();
  if (choice == Choice::own) return nullptr;
  std::unique_ptr<Products> products;
  try {
    products = std::make_unique<Products>(cublasLtNames());
  } catch (const Error& error) {
    if (choice == Choice::measured && error.code() == "GEMM_UNAVAILABLE") return nullptr;
    throw;
  }
  if (choice == Choice::measured && !isClearlyFaster(context, *products)) return nullptr;
  return products;
}

}  // namespace ddsc::cuda::cublaslt

namespace ddsc::cuda {

std::size_t libraryScratchBytes() {
  const bool isOwn = cublaslt::choiceFromEnvironment() == cublaslt::Choice::own;
  return isOwn ? 0 : Scratch::grownSize(cublaslt::kMostWorkspaceBytes);
}

}  // namespace ddsc::cuda
