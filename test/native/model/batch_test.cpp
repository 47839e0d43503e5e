#include "model/batch.h"

#include "test/native/harness.h"

namespace ddsc::test {
namespace {

DDSC_TEST("pairs of a batch are each cell's asking rows times its keys, cell by cell") {
  CellBatch batch;
  batch.offsets = {0, 4, 4, 9, 12};
  batch.cellIndex = {0, 1, 2, 3};
  batch.tokens.assign(12, 5);
  batch.genes.assign(12, 7);
  const HostRagged whole(batch);
  checkEqual(pairs(whole, whole), std::int64_t{4 * 4 + 5 * 5 + 3 * 3});
  const HostRagged keys(whole, {0, 1, 4, 9, 10, 11}), none(whole, {});
  checkEqual(pairs(whole, keys), std::int64_t{4 * 2 + 5 * 1 + 3 * 3});
  checkEqual(pairs(keys, whole), pairs(whole, keys));
  checkEqual(pairs(none, whole), std::int64_t{0});
}

}  // namespace
}  // namespace ddsc::test
