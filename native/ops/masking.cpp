#include "ops/masking.h"

#include "core/random.h"

namespace ddsc {

void run(const MaskNoise& op) {
  const Ragged& cells = op.cells;
  for (std::int64_t cell = 0; cell < cells.cells(); ++cell) {
    const Stream stream(op.seed, Purpose::mask, op.step, cells.cellIndex[cell]);
    const std::uint64_t threshold = threshold32(op.moveChance[cell]);
    for (std::int64_t row = cells.offsets[cell]; row < cells.offsets[cell + 1]; ++row) {
      const std::int32_t token = op.tokens[row];
      const bool masked = token >= op.firstValue &&
                          philox(stream, static_cast<std::uint32_t>(cells.position[row])).word[0] < threshold;
      op.noisy[row] = masked ? op.mask : token;
    }
  }
}

}  // namespace ddsc
