#pragma once
#include <cstdint>
#include <vector>

#include "core/views.h"

namespace ddsc {

/// Shape of the denoiser; the fields of the published configuration, and what models of counts have besides.
struct DenoiserConfig {
  std::int64_t vocabSize = 54;        // tokens V: special, reserved, values; the mask token is the last
  std::int64_t geneVocabSize = 1000;  // rows of the gene embedding
  std::int64_t hidden = 768;          // D
  std::int64_t blocks = 12;
  std::int64_t heads = 12;
  std::int64_t condDim = 128;  // width of the conditioning vector
  double dropout = 0.1;
  bool timeConditioning = false;
  bool rotary = true;
  std::int64_t state = 0;  // width of a cell's state; 0: a model of ranks, which has none
  // Of a model of counts.
  std::vector<std::int64_t> conditions;  // how many labels each has; 0: it is a number
  std::int64_t summary = 0;   // numbers that sum up a cell's visible genes, the first `state` of which its
                              // state begins with; 0: none
  bool learntSizes = false;   // whether sizes of genes are learnt on from those counted
  bool sizesByState = false;  // whether a cell's state moves them, too

  bool ofCounts() const { return state > 0; }
  std::int64_t values() const { return vocabSize - 3; }
  std::int32_t maskToken() const { return static_cast<std::int32_t>(vocabSize - 1); }
  std::int64_t headDim() const { return hidden / heads; }
};

/// First rank token that stands for a value; below it are the special and the reserved token.
inline constexpr std::int32_t kFirstValue = 2;
/// Width of the sinusoidal time features.
inline constexpr std::int64_t kTimeFeatures = 256;

/// Throws Error MODEL_CONFIG naming the field that cannot be.
void check(const DenoiserConfig& config);

}  // namespace ddsc
