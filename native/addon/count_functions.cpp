// Counts of cells to what count models read: see lib/native/counts.ts.
#include <memory>

#include "addon/arguments.h"
#include "addon/async.h"
#include "addon/borrowed.h"
#include "addon/data_functions.h"
#include "cells/choose_queries.h"

namespace ddsc::addon {

namespace {

using Numbers = std::vector<std::int32_t>;

std::span<const std::int32_t> int32s(const Field& field) {
  return borrowed<Napi::Int32Array>(field, napi_int32_array);
}

/// What is asked about at most: a number too large for memory means all.
std::size_t most(const Field& field) {
  const double number = field.number();
  if (!(number >= 0)) throw Error("ARGUMENT_RANGE", "expected a number of at least 0 for " + field.name);
  return number < 2147483647.0 ? static_cast<std::size_t>(number) : std::size_t{2147483647};
}

data::CountCells countCells(const Field& batch) {
  data::CountCells cells;
  cells.offsets = int32s(batch["offsets"]);
  cells.genes = int32s(batch["genes"]);
  cells.counts = int32s(batch["counts"]);
  cells.cells = borrowed<Napi::Float64Array>(batch["cells"], napi_float64_array);
  return cells;
}

data::SummaryPool summaryPool(const Field& summary) {
  data::SummaryPool pool;
  pool.genes = int32s(summary["genes"]);
  pool.pool = borrowed<Napi::Float32Array>(summary["pool"], napi_float32_array);
  pool.ridge = borrowed<Napi::Float64Array>(summary["ridge"], napi_float64_array);
  pool.size = borrowed<Napi::Float64Array>(summary["size"], napi_float64_array);
  pool.meanDepth = summary["meanDepth"].number();
  pool.spread = summary["spread"].number();
  return pool;
}

/// A call and the arrays that it reads, which JavaScript keeps as they are until it has ended.
struct Choosing {
  data::CountCells cells;
  std::vector<data::GenePanel> panels;
  data::QueryOptions options;
  Napi::ObjectReference kept;

  explicit Choosing(const Field& input) : kept(Napi::Persistent(input.value.As<Napi::Object>())) {
    cells = countCells(input["batch"]);
    cells.panels = int32s(input["batch"]["panels"]);
    const Field list = input["panels"], orders = input["orders"];
    if (!list.value.IsArray() || !orders.value.IsArray()) {
      throw Error("ARGUMENT_TYPE", "expected arrays for panels and orders");
    }
    const auto genes = list.value.As<Napi::Array>(), order = orders.value.As<Napi::Array>();
    for (std::uint32_t i = 0; i < genes.Length(); ++i)
      panels.push_back({int32s({genes.Get(i), "panels"}), int32s({order.Get(i), "orders"})});
    options.share = borrowed<Napi::Float64Array>(input["share"], napi_float64_array);
    if (input["hide"].missing()) {
      options.hidden = int32s(input["hidden"]);
    } else {
      options.hide = {int32s(input["hide"]["offsets"]), int32s(input["hide"]["genes"])};
    }
    if (!input["ask"].missing())
      options.ask = {int32s(input["ask"]["offsets"]), int32s(input["ask"]["genes"])};
    options.zeros = most(input["zeros"]);
    options.expressed = most(input["expressed"]);
    options.expressedMost = most(input["expressedMost"]);
    options.evidence = most(input["evidence"]);
    if (!input["thin"].missing())
      options.keep = borrowed<Napi::Float32Array>(input["thin"], napi_float32_array);
    if (!input["summary"].missing()) options.summary = summaryPool(input["summary"]);
    options.seed = input["seed"].natural();
    options.step = input["step"].natural();
  }
};

Napi::Value rowsObject(Napi::Env env, const data::CountRows& rows, bool summarised) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("offsets", toArray(env, rows.offsets));
  result.Set("keys", toArray(env, rows.keys));
  result.Set("tokens", toArray(env, rows.tokens));
  result.Set("genes", toArray(env, rows.genes));
  result.Set("hidden", toArray(env, rows.hidden));
  result.Set("measured", toArray(env, rows.measured));
  result.Set("total", toArray(env, rows.total));
  result.Set("visibleTotal", toArray(env, rows.visibleTotal));
  result.Set("visibleShare", toArray(env, rows.visibleShare));
  result.Set("hiddenShare", toArray(env, rows.hiddenShare));
  result.Set("answers", toArray(env, rows.answers));
  result.Set("counts", toArray(env, rows.counts));
  result.Set("weight", toArray(env, rows.weight));
  if (summarised) result.Set("summary", toArray(env, rows.summary));
  return result;
}

/// chooseQueries(input): the rows, off the event loop.
Napi::Value chooseQueries(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto call = std::make_shared<Choosing>(argument(info, 0, "input"));
    return Job<data::CountRows>::start(
        info.Env(), [call] { return data::chooseQueries(call->cells, call->panels, call->options); },
        // Holds the call, so that its reference to JavaScript is dropped on this thread.
        [call](Napi::Env env, data::CountRows& rows) {
          return rowsObject(env, rows, call->options.summary.has_value());
        });
  });
}

/// thinCounts(batch, keep, seed, step): the count that is kept of each token, off the event loop.
Napi::Value thinCounts(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Field batch = argument(info, 0, "batch");
    const data::CountCells cells = countCells(batch);
    const double keep = argument(info, 1, "keep").number();
    const std::uint64_t seed = argument(info, 2, "seed").natural(),
                        step = argument(info, 3, "step").natural();
    const auto kept =
        std::make_shared<Napi::ObjectReference>(Napi::Persistent(batch.value.As<Napi::Object>()));
    return Job<Numbers>::start(
        info.Env(), [cells, keep, seed, step] { return data::thinCounts(cells, keep, seed, step); },
        [kept](Napi::Env env, Numbers& counts) -> Napi::Value { return toArray(env, counts); });
  });
}

}  // namespace

void exportCountFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("chooseQueries", Napi::Function::New<chooseQueries>(env, "chooseQueries"));
  exports.Set("thinCounts", Napi::Function::New<thinCounts>(env, "thinCounts"));
}

}  // namespace ddsc::addon
