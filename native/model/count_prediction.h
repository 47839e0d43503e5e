#pragma once
#include <cstdint>
#include <memory>
#include <vector>

#include "model/count_rows.h"

namespace ddsc {

class Model;

/// Logits, tilts and moved sizes of the queries of some cells, in the backend's memory, and what samplers and
/// evaluation ask of them.
class CountPrediction {
 public:
  CountPrediction(std::shared_ptr<Model> model, const CountRows& rows);

  std::int64_t queries() const { return static_cast<std::int64_t>(genes_.size()); }
  std::int64_t vocabSize() const;
  /// Of the backend's memory, held as long as this lives.
  std::size_t bytes() const { return memory_.bytes() + tableMemory_.bytes(); }
  /// Of the network alone, [queries, vocabSize].
  std::vector<float> logits() const;
  /// Before the clamp, [queries].
  std::vector<float> tilt() const;
  /// What the cells' cls rows say, [cells, state].
  std::vector<float> state() const;

  struct Statistics {
    std::vector<float> logProbability, below;  // of the targets: log p(target), P(value < target)
    std::vector<float> mean, variance, expressed;
    std::vector<float> logProbabilities;  // [queries, values], where asked for
  };
  /// `target`: [queries] values, or empty.
  Statistics statistics(const std::vector<std::int32_t>& target, bool logProbabilities) const;

  /// Classifier-free guidance: logits, tilts and moved log sizes become those of `null` + gamma (these -
  /// those of `null`). `null` is of the same queries without conditions.
  void guide(const CountPrediction& null, float gamma);

  struct Draw {
    std::vector<std::int32_t> values, counts;
  };
  /// A value and a count of each query, named by (seed, step, cell, row).
  Draw draw(std::uint64_t seed, std::uint64_t step) const;

 private:
  friend class Model;
  Matrix logitsView() const;
  Span<float> tiltView() const;
  /// Logarithms of sizes that the cells' states have moved, before the clamp; empty where they move none.
  Span<float> logSizeView() const;
  Matrix stateView() const;
  /// Floats of a query: logits, tilt and, where there is one, log size.
  std::int64_t width() const;
  /// The table of the queries' genes, in memory of its own: the sizes are those of when the network ran.
  /// Where states move sizes it is empty, and `movedTable` is asked.
  CountTable table() const;
  /// The table of the queries where states move sizes: made in the model's workspace for each use, by the
  /// sizes as guidance left them.
  CountTable movedTable() const;
  /// The base of the queries; what else it reads is in the model's workspace.
  CountBase base() const;

  std::shared_ptr<Model> model_;
  HostRagged ragged_;  // of the queries
  std::vector<std::int32_t> genes_;
  QueryGenes asked_;
  std::vector<double> depth_;
  Buffer memory_, tableMemory_;
};

}  // namespace ddsc
