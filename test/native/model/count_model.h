/// A model of counts small enough for any test, and batches for it.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <source_location>
#include <span>
#include <vector>

#include "model/model.h"

namespace ddsc::test {

/// Two blocks, 32 wide, two heads; 200 gene ids; no dropout, and nothing that a model of counts may go
/// without.
DenoiserConfig plainCountConfig();
/// The same with two conditions of labels and two of numbers, a summary and learnt sizes.
DenoiserConfig countConfig();

/// Share and size of each gene id, of every order of magnitude that genes have.
struct GeneBase {
  std::vector<double> share, size;
};
GeneBase geneBase(const DenoiserConfig& config);

/// A model as randomModel makes it, with `geneBase`.
std::shared_ptr<Model> countModel(const DenoiserConfig& config, DType type = DType::f32, int threads = 1);
std::shared_ptr<Model> countModel(std::unique_ptr<Backend> backend, const DenoiserConfig& config,
                                  DType type = DType::f32);
/// A model that was initialised and has learnt nothing.
std::shared_ptr<Model> untrainedCountModel(const DenoiserConfig& config);

/// Visible genes with a count above 0, and genes that are asked about.
struct CountCell {
  std::int32_t evidence, queries;
};
/// Cells of these sizes, told of all that the model reads; whether a total, a label or a number is given
/// depends on the cell.
CountLossInput countInput(const std::vector<CountCell>& shapes, const DenoiserConfig& config);
/// Some cells of an input in this order, with those queries that `keeps(cell, query)`, both as numbered in
/// `whole`.
CountLossInput chosen(
    const CountLossInput& whole, const std::vector<std::size_t>& cells, const DenoiserConfig& config,
    const std::function<bool(std::size_t, std::int32_t)>& keeps = [](std::size_t, std::int32_t) {
      return true;
    });

/// Whether the backend under test is a GPU, which on the emulator is slow.
bool onGpu();

/// Fails unless both hold the same bits or, on a GPU, whose library picks its kernels by the shape, the same
/// numbers but for rounding in `type`.
void checkSame(std::span<const float> actual, std::span<const float> expected, DType type = DType::f32,
               std::source_location where = std::source_location::current());

/// Cells that differ in all that cells can: none of evidence, one query, no query, neither, many.
const std::vector<CountCell>& unlikeCells();
/// The same; fewer rows on a GPU.
const std::vector<CountCell>& fewUnlikeCells();

}  // namespace ddsc::test
