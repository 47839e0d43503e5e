#include "model/config.h"

#include "core/errors.h"
#include "ops/count_values.h"

namespace ddsc {

void check(const DenoiserConfig& c) {
  const auto good = [](bool holds, const char* message) { require(holds, "MODEL_CONFIG", message); };
  good(c.vocabSize >= kFirstValue + 2 && c.vocabSize <= 4096, "vocabSize must be 4 to 4096 (ranks + 3)");
  good(c.geneVocabSize >= 1 && c.geneVocabSize <= 100'000'000, "geneVocabSize must be 1 to 100,000,000");
  good(c.hidden >= 2 && c.hidden <= 16384, "hidden must be 2 to 16,384");
  good(c.blocks >= 1 && c.blocks <= 512, "blocks must be 1 to 512");
  good(c.heads >= 1 && c.hidden % c.heads == 0, "heads must divide hidden");
  good(c.headDim() % 2 == 0 && c.headDim() <= 256, "hidden / heads must be even and at most 256");
  good(c.condDim >= 1 && c.condDim <= 16384, "condDim must be 1 to 16,384");
  good(c.state >= 0 && c.state <= 1024 && c.state <= c.hidden,
       "state must be 0 to 1,024, and at most hidden");
  good(!c.ofCounts() || c.values() == CountValues().values(),
       "a model of counts has 177 values (vocabSize 180)");
  good(c.ofCounts() || c.conditions.empty(), "a model of ranks takes no conditions");
  good(c.conditions.size() <= 64, "there may be 64 conditions at most");
  for (const std::int64_t labels : c.conditions)
    good(labels >= 0 && labels <= 1'000'000, "a condition may have 1,000,000 labels at most");
  good(c.summary == 0 || (c.ofCounts() && c.summary >= c.state && c.summary <= 4096),
       "summary must be 0, or at least state and at most 4,096 in a model of counts");
  good(c.ofCounts() || !c.learntSizes, "a model of ranks has no sizes");
  good(c.learntSizes || !c.sizesByState,
       "sizes that the state moves are learnt: sizesByState needs learntSizes");
  good(!c.ofCounts() || !c.rotary, "a model of counts has no rotary embedding: its genes have no order");
  good(c.dropout >= 0 && c.dropout < 1, "dropout must be at least 0 and below 1");
}

}  // namespace ddsc
