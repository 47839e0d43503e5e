// What a model of counts refuses.
#include <cmath>
#include <functional>
#include <limits>

#include "core/errors.h"
#include "model/model.h"
#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

template <class Body>
void checkRefused(Body&& body, const char* code, std::string_view fragment,
                  std::source_location where = std::source_location::current()) {
  try {
    body();
  } catch (const Error& error) {
    check(error.code() == code, "the code is " + error.code(), where);
    check(std::string_view(error.what()).find(fragment) != std::string_view::npos,
          "the message is \"" + std::string(error.what()) + "\", expected \"" + std::string(fragment) + "\"",
          where);
    return;
  }
  throw Failure("did not throw \"" + std::string(fragment) + "\"", where);
}

DDSC_TEST(
    "rows of counts that cannot be are refused with the cell that is wrong, and the next batch is taken") {
  const DenoiserConfig config = countConfig();
  const auto model = countModel(config);
  const CountLossInput good = countInput({{5, 4}, {0, 3}, {7, 0}}, config);
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN(),
                  kInfinity = std::numeric_limits<float>::infinity();
  const auto refused = [&](const std::function<void(CountRows&)>& spoil, std::string_view fragment,
                           std::source_location where = std::source_location::current()) {
    CountLossInput bad = good;
    spoil(bad.rows);
    checkRefused([&] { model->evaluate(bad); }, "BATCH_INVALID", fragment, where);
    checkRefused([&] { model->accumulate(bad, 1.0, {}); }, "BATCH_INVALID", fragment, where);
    checkRefused([&] { model->predictCounts(bad.rows, WeightSource::weights); }, "BATCH_INVALID", fragment,
                 where);
  };
  // Of all batches.
  refused([](CountRows& r) { r.batch.genes[4] = 200; }, "gene id 200 at token 4");
  refused([](CountRows& r) { r.batch.tokens[2] = 180; }, "token 2 is 180");
  refused([](CountRows& r) { r.batch.offsets[1] = 15; }, "offsets must not fall");
  // Arrays of the wrong lengths.
  const std::string_view oneEach = "must have one entry a cell";
  refused([](CountRows& r) { r.keys.pop_back(); }, oneEach);
  refused([](CountRows& r) { r.hidden.pop_back(); }, oneEach);
  refused([](CountRows& r) { r.measured.push_back(3); }, oneEach);
  refused([](CountRows& r) { r.visibleTotal.clear(); }, oneEach);
  refused([](CountRows& r) { r.visibleShare.pop_back(); }, oneEach);
  refused([](CountRows& r) { r.total.pop_back(); }, oneEach);
  refused([](CountRows& r) { r.depth.push_back(1); }, oneEach);
  refused([](CountRows& r) { r.labels.pop_back(); }, "labels must have one entry a cell and condition");
  refused([](CountRows& r) { r.numbers.pop_back(); }, "numbers must have one entry a cell and condition");
  refused([](CountRows& r) { r.summary.pop_back(); }, "summary must have 12 numbers a cell");
  // What cells are told.
  refused([](CountRows& r) { r.labels[2] = 4; }, "label 4 of cell 1 lies outside of 0 to 3");
  refused([](CountRows& r) { r.labels[5] = 6; }, "label 6 of cell 2 lies outside of 0 to 5");
  refused([](CountRows& r) { r.labels[0] = -1; }, "label -1 of cell 0");
  refused([](CountRows& r) { r.keys[1] = 0; }, "cell 1 must have 1 key row at least");
  refused([](CountRows& r) { r.keys[2] = 9; }, "cell 2 must have 1 key row at least, and no more");
  refused([](CountRows& r) { r.hidden[1] = -1; }, "cell 1 must have 1 measured gene at least");
  refused([](CountRows& r) { r.hidden[2] = 181; }, "no more hidden ones than measured");
  refused([](CountRows& r) { r.measured[0] = r.hidden[0] = 0; }, "cell 0 must have 1 measured gene at least");
  for (const float bad : {-1.0f, kNan, kInfinity}) {
    refused([&](CountRows& r) { r.visibleTotal[1] = bad; }, "cell 1: totals and shares must be");
    refused([&](CountRows& r) { r.visibleShare[2] = bad; }, "cell 2: totals and shares must be");
    refused([&](CountRows& r) { r.depth[1] = static_cast<double>(bad); }, "cell 1: the depth must be finite");
  }
  for (const float bad : {-1.0f, kInfinity})
    refused([&](CountRows& r) { r.total[0] = bad; }, "cell 0: totals and shares must be");
  for (const float bad : {-kInfinity, kInfinity})
    refused([&](CountRows& r) { r.numbers[3] = bad; }, "number 1 of cell 1");
  for (const float bad : {kNan, kInfinity})
    refused([&](CountRows& r) { r.summary[25] = bad; }, "the summary of cell 2");
  // Keys and queries.
  refused([&](CountRows& r) { r.batch.tokens[3] = config.maskToken(); }, "key rows must come first");
  refused([](CountRows& r) { r.batch.tokens[7] = 5; }, "queries alone be mask tokens (row 7)");
  refused([](CountRows& r) { r.keys[0] = 5; }, "cell 0: its key rows must come first");
  check(std::isfinite(model->evaluate(good).loss), "the loss is not finite");
}

DDSC_TEST("answers and weights that no query has are refused") {
  const DenoiserConfig config = countConfig();
  const auto model = countModel(config);
  const CountLossInput good = countInput({{5, 4}, {0, 3}}, config);
  const auto refused = [&](const std::function<void(CountLossInput&)>& spoil, std::string_view fragment) {
    CountLossInput bad = good;
    spoil(bad);
    checkRefused([&] { model->evaluate(bad); }, "BATCH_INVALID", fragment);
  };
  refused([](CountLossInput& i) { i.answers.pop_back(); }, "must have one entry a query");
  refused([](CountLossInput& i) { i.weight.push_back(1); }, "must have one entry a query");
  refused([](CountLossInput& i) { i.answers[3] = 177; }, "an answer must be a value");
  refused([](CountLossInput& i) { i.answers[3] = -1; }, "an answer must be a value");
  refused([](CountLossInput& i) { i.weight[6] = std::nanf(""); }, "weights must be finite");
}

DDSC_TEST("a count model without shares and sizes of genes gives neither losses nor predictions") {
  const DenoiserConfig config = countConfig();
  const auto model = randomModel(config);
  const CountLossInput input = countInput({{5, 4}}, config);
  const std::string_view message = "no shares and sizes of genes yet";
  checkRefused([&] { model->evaluate(input); }, "MODEL_BASE", message);
  checkRefused([&] { model->accumulate(input, 1.0, {}); }, "MODEL_BASE", message);
  checkRefused([&] { model->predictCounts(input.rows, WeightSource::weights); }, "MODEL_BASE", message);
  const GeneBase base = geneBase(config);
  model->setBase(base.share, base.size);
  check(std::isfinite(model->evaluate(input).loss), "the loss is not finite");
}

DDSC_TEST("shares and sizes that genes cannot have are refused, and those set before stay") {
  const DenoiserConfig config = countConfig();
  const auto model = countModel(config);
  const CountLossInput input = countInput({{5, 4}}, config);
  const double before = model->evaluate(input).loss;
  const GeneBase good = geneBase(config);
  const auto refused = [&](const std::function<void(GeneBase&)>& spoil, std::string_view fragment) {
    GeneBase bad = good;
    spoil(bad);
    checkRefused([&] { model->setBase(bad.share, bad.size); }, "MODEL_BASE", fragment);
  };
  refused([](GeneBase& b) { b.share.pop_back(); }, "one share and one size for each");
  refused([](GeneBase& b) { b.size.push_back(1); }, "one share and one size for each");
  for (const double bad : {-1e-9, std::nan(""), std::numeric_limits<double>::infinity()})
    refused([&](GeneBase& b) { b.share[17] = bad; }, "gene id 17");
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()})
    refused([&](GeneBase& b) { b.size[199] = bad; }, "gene id 199");
  checkClose(model->evaluate(input).loss, before, 0);
}

DDSC_TEST("a model of ranks refuses counts, and a model of counts ranks") {
  const DenoiserConfig ofCounts = countConfig(), ofRanks = smallConfig();
  const auto ranks = randomModel(ofRanks), counts = countModel(ofCounts);
  const CountLossInput countBatch = countInput({{5, 4}}, ofCounts);
  const LossInput rankBatch = lossInput(cells({5, 6}, ofRanks));
  const std::string_view message = "this model is of ranks";
  checkRefused([&] { ranks->evaluate(countBatch); }, "MODEL_CONFIG", message);
  checkRefused([&] { ranks->accumulate(countBatch, 1.0, {}); }, "MODEL_CONFIG", message);
  checkRefused([&] { ranks->predictCounts(countBatch.rows, WeightSource::weights); }, "MODEL_CONFIG",
               message);
  checkRefused([&] { ranks->setBase({}, {}); }, "MODEL_CONFIG", message);
  const std::string_view other = "this model is of counts";
  checkRefused([&] { counts->evaluate(rankBatch); }, "MODEL_CONFIG", other);
  checkRefused([&] { counts->accumulate(rankBatch, 1.0, {}); }, "MODEL_CONFIG", other);
  checkRefused(
      [&] {
        counts->predict(rankBatch.batch, rankBatch.noise.conditioning, {}, true, WeightSource::weights);
      },
      "MODEL_CONFIG", other);
}

DDSC_TEST("a shape that no model of counts has is refused") {
  const auto refused = [](const std::function<void(DenoiserConfig&)>& spoil, std::string_view fragment) {
    DenoiserConfig bad = countConfig();
    spoil(bad);
    checkRefused([&] { ddsc::check(bad); }, "MODEL_CONFIG", fragment);
  };
  refused([](DenoiserConfig& c) { c.state = 33; }, "state must be");
  refused([](DenoiserConfig& c) { c.state = -1; }, "state must be");
  refused([](DenoiserConfig& c) { c.vocabSize = 181; }, "177 values");
  refused([](DenoiserConfig& c) { c.conditions.assign(65, 0); }, "64 conditions");
  refused([](DenoiserConfig& c) { c.conditions[1] = -1; }, "1,000,000 labels");
  refused([](DenoiserConfig& c) { c.summary = 7; }, "summary must be 0");
  refused([](DenoiserConfig& c) { c.summary = 4097; }, "summary must be 0");
  refused([](DenoiserConfig& c) { c.rotary = true; }, "no rotary embedding");
  refused([](DenoiserConfig& c) { c.learntSizes = false; }, "sizesByState needs learntSizes");
  DenoiserConfig ranks = smallConfig();
  ranks.learntSizes = true;
  checkRefused([&] { ddsc::check(ranks); }, "MODEL_CONFIG", "no sizes");
  ranks = smallConfig();
  ranks.conditions = {2};
  checkRefused([&] { ddsc::check(ranks); }, "MODEL_CONFIG", "no conditions");
  ranks = smallConfig();
  ranks.summary = 8;
  checkRefused([&] { ddsc::check(ranks); }, "MODEL_CONFIG", "summary must be 0");
}

}  // namespace
}  // namespace ddsc::test
