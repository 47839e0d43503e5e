#include "parquet/column.h"

#include "test/native/damage.h"
#include "test/native/harness.h"

namespace ddsc::test {
namespace {

DDSC_TEST("runs of repeated and packed values are read in order, the rest of a group left out") {
  // Seven times 5, then one group of eight packed in three bits (0..7), cut off after six.
  const Buffer runs = {14, 5, 3, 0x88, 0xC6, 0xFA};
  std::vector<std::uint32_t> values;
  data::walkRuns(
      runs, 3, 13, [&](std::size_t count, std::uint32_t value) { values.insert(values.end(), count, value); },
      [&](std::span<const std::uint32_t> some) { values.insert(values.end(), some.begin(), some.end()); });
  check(values == std::vector<std::uint32_t>{5, 5, 5, 5, 5, 5, 5, 0, 1, 2, 3, 4, 5},
        "other values were read");
}

DDSC_TEST("differences decode across blocks and refuse damage") {
  // The example of the format: 7, 5, 3, 1, 2, 3, 4, 5.
  const Buffer deltas = {0x80, 0x01, 0x04, 0x08, 0x0E, 0x03, 0x02, 0, 0, 0, 0xC0, 0x3F, 0, 0, 0, 0, 0, 0};
  std::vector<std::int64_t> values(8);
  data::decodeDeltas(deltas, values);
  check(values == std::vector<std::int64_t>{7, 5, 3, 1, 2, 3, 4, 5}, "other values were read");
  damageAndDecode(deltas, [](const Buffer& damaged) {
    std::vector<std::int64_t> decoded(8);
    data::decodeDeltas(damaged, decoded);
  });
}

/// A column of three lists (one value, three, two) of 32-bit numbers in one page.
data::ColumnChunk listColumn(const Buffer& page) {
  data::ColumnChunk chunk;
  chunk.shape = {data::Physical::int32, 1, 1, 1};
  chunk.pages.push_back({data::Page::Kind::dataV1, data::Encoding::plain, 6, 0, 0, page});
  return chunk;
}

const Buffer kListPage = {2, 0, 0, 0, 3,  0b11010,  // repetition: 0 1 0 1 1 0 read from the lowest bit
                          2, 0, 0, 0, 12, 1,        // definition: six times 1
                          1, 0, 0, 0, 2,  0,       0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0, 0, 6, 0, 0, 0};

DDSC_TEST("lists are cut at repetition 0, and rows are given from the middle") {
  const auto column = data::decodeNumberColumn<std::int32_t>(listColumn(kListPage), {1, 2, false});
  check(column.offsets == std::vector<std::int32_t>{0, 3, 4}, "bounds of rows");
  check(column.values == std::vector<std::int32_t>{3, 4, 5, 6}, "values of rows");
}

DDSC_TEST("a damaged column of lists is refused or read within bounds") {
  damageAndDecode(kListPage, [](const Buffer& page) {
    const auto column = data::decodeNumberColumn<float>(listColumn(page), {0, 3, false});
    checkEqual(column.offsets.size(), std::size_t{4});
    checkEqual(static_cast<std::size_t>(column.offsets.back()), column.values.size());
  });
}

}  // namespace
}  // namespace ddsc::test
