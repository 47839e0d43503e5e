#include <map>

#include "test/native/harness.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

constexpr std::int64_t kTokens = 9, kGenes = 40;

/// Ids below `count`, some never used, one (the last) used by half the rows.
std::vector<std::int32_t> someIds(std::uint32_t name, std::int64_t rows, std::int64_t count) {
  std::vector<std::int32_t> ids;
  for (const float value : randomValues(name, rows, 1))
    ids.push_back(static_cast<std::int32_t>(
        value < 0 ? count - 1 : static_cast<std::int64_t>(value * static_cast<float>(count - 2))));
  return ids;
}

Span<const std::int32_t> spanOf(const std::vector<std::int32_t>& values) {
  return {values.data(), static_cast<std::int64_t>(values.size())};
}

/// Owns a Grouping of rows by id.
struct Groups {
  std::vector<std::int32_t> ids, starts{0}, rows;

  explicit Groups(const std::vector<std::int32_t>& idOfRow) {
    std::map<std::int32_t, std::vector<std::int32_t>> byId;
    for (std::size_t row = 0; row < idOfRow.size(); ++row)
      byId[idOfRow[row]].push_back(static_cast<std::int32_t>(row));
    for (const auto& [id, members] : byId) {
      ids.push_back(id);
      rows.insert(rows.end(), members.begin(), members.end());
      starts.push_back(static_cast<std::int32_t>(rows.size()));
    }
  }
  Grouping view() const { return {spanOf(ids), spanOf(starts), spanOf(rows)}; }
};

struct Shape {
  std::int64_t rows, dim;
};
constexpr Shape kShapes[] = {{0, 8}, {1, 2}, {37, 70}, {150, 256}, {65, 130}};

const PerInstructionSet forward(
    "embedding adds the rank's row and the gene's row",
    [](Backend& backend, DType) {
      for (const auto& [rows, dim] : kShapes) {
        const auto tokens = someIds(1, rows, kTokens), genes = someIds(2, rows, kGenes);
        const Tensor rankTable = Tensor::random(3, kTokens, dim), geneTable = Tensor::random(4, kGenes, dim);
        Tensor x(rows, dim, DType::f32, 5);
        backend.run(Embed{spanOf(tokens), spanOf(genes), rankTable.view(), geneTable.view(), x.view()});
        for (std::int64_t row = 0; row < rows; ++row)
          for (std::int64_t col = 0; col < dim; ++col)
            checkEqual(x.at(row, col), rankTable.at(tokens[static_cast<std::size_t>(row)], col) +
                                           geneTable.at(genes[static_cast<std::size_t>(row)], col));
        x.checkGaps();
      }
    },
    {DType::f32});

std::vector<float> tableGradients(Backend& backend, std::int64_t rows, std::int64_t dim) {
  const Groups byToken(someIds(1, rows, kTokens)), byGene(someIds(2, rows, kGenes));
  const Tensor dx = Tensor::random(5, rows, dim, DType::f32, 1, 3);
  Tensor dRank = Tensor::random(6, kTokens, dim), dGene = Tensor::random(7, kGenes, dim, DType::f32, 1, 3);
  backend.run(EmbedGradient{dx.view(), byToken.view(), byGene.view(), dRank.view(), dGene.view()});
  dGene.checkGaps();
  std::vector<float> all = dRank.values();
  for (const float value : dGene.values()) all.push_back(value);
  return all;
}

const PerInstructionSet gradient(
    "the embedding's gradient adds each token's rows to what the tables hold and leaves other rows alone",
    [](Backend& backend, DType) {
      for (const auto& [rows, dim] : kShapes) {
        const auto tokens = someIds(1, rows, kTokens), genes = someIds(2, rows, kGenes);
        const Tensor dx = Tensor::random(5, rows, dim);
        std::vector<double> expected = Tensor::random(6, kTokens, dim).doubles();
        for (const double value : Tensor::random(7, kGenes, dim).doubles()) expected.push_back(value);
        for (std::int64_t row = 0; row < rows; ++row)
          for (std::int64_t col = 0; col < dim; ++col) {
            const auto rank = tokens[static_cast<std::size_t>(row)];
            const auto gene = kTokens + genes[static_cast<std::size_t>(row)];
            expected[static_cast<std::size_t>(rank * dim + col)] += static_cast<double>(dx.at(row, col));
            expected[static_cast<std::size_t>(gene * dim + col)] += static_cast<double>(dx.at(row, col));
          }
        checkAgainst(tableGradients(backend, rows, dim), expected, 1e-6);
      }
    },
    {DType::f32});

const PerInstructionSet oneColumn(
    "a gradient of one column, without tokens, adds each gene's rows to its number",
    [](Backend& backend, DType) {
      for (const std::int64_t rows : {0, 1, 500}) {
        const auto genes = someIds(2, rows, kGenes);
        const Groups byGene(genes);
        Tensor dx = Tensor::random(5, 1, rows), table = Tensor::random(7, 1, kGenes);
        std::vector<double> expected = table.doubles();
        for (std::int64_t row = 0; row < rows; ++row)
          expected[static_cast<std::size_t>(genes[static_cast<std::size_t>(row)])] +=
              static_cast<double>(dx.at(0, row));
        backend.run(EmbedGradient{{dx.span().data, rows, 1, 1, DType::f32},
                                  {},
                                  byGene.view(),
                                  {},
                                  {table.span().data, kGenes, 1, 1, DType::f32}});
        checkAgainst(table.values(), expected, 1e-6);
      }
    },
    {DType::f32});

DDSC_TEST("the embedding's gradient has the same bits with any number of threads") {
  checkThreadsAgree([](Backend& backend) { return tableGradients(backend, 700, 136); });
}

}  // namespace
}  // namespace ddsc::test
