// Cells to tokens, and the memory of cells: see lib/native/tokens.ts.
#include <memory>

#include "addon/arguments.h"
#include "addon/async.h"
#include "addon/borrowed.h"
#include "addon/data_functions.h"
#include "cells/tokenize_cells.h"

namespace ddsc::addon {

namespace {

data::CellSlice cellSlice(const Field& block) {
  data::CellSlice cells;
  cells.rows = borrowed<Napi::Int32Array>(block["rows"], napi_int32_array);
  cells.offsets = borrowed<Napi::Int32Array>(block["offsets"], napi_int32_array);
  cells.columns = borrowed<Napi::Int32Array>(block["columns"], napi_int32_array);
  cells.counts = borrowed<Napi::Float32Array>(block["counts"], napi_float32_array);
  return cells;
}

data::TokenizeOptions tokenizeOptions(const Field& given) {
  data::TokenizeOptions options;
  const Field values = given["values"];
  if (values["kind"].string() == "ranks") {
    options.steps = values["steps"].floats();
  } else {
    options.values =
        values["allowFractional"].boolean() ? data::TokenValues::roundedCounts : data::TokenValues::counts;
  }
  options.ids = borrowed<Napi::Int32Array>(given["ids"], napi_int32_array);
  options.room = given["room"].natural();
  options.minGenes = given["minGenes"].natural();
  options.cls = given["cls"].boolean();
  options.sample = given["sample"].boolean();
  options.seed = given["seed"].natural();
  options.epoch = given["epoch"].natural();
  return options;
}

/// A call that makes tokens. It writes them to memory of JavaScript's, so that nothing is copied and another
/// thread can be given them.
struct Tokenizing {
  std::vector<data::CellSlice> slices;
  std::vector<data::PickedCell> picked;
  data::TokenizeOptions options;
  data::TokenizedCells made;
  Napi::Reference<Napi::Int32Array> genes, tokens, counts;
  /// The arrays that are read.
  std::vector<Napi::ObjectReference> kept;

  /// Sets memory aside; `slices`, `picked` and `options` are there. False where a cell does not exist.
  bool prepare(Napi::Env env) {
    if (!data::cellsExist(slices, picked)) return false;
    const std::size_t capacity = data::tokenCapacity(slices, picked, options);
    const auto room = [&](Napi::Reference<Napi::Int32Array>& reference) {
      Napi::Int32Array array = Napi::Int32Array::New(env, capacity);
      reference = Napi::Persistent(array);
      return std::span<std::int32_t>(array.Data(), capacity);
    };
    made.genes = room(genes);
    made.tokens = room(tokens);
    if (options.values != data::TokenValues::ranks) made.counts = room(counts);
    return true;
  }

  bool run() { return data::tokenizeCells(slices, picked, options, made); }

  Napi::Value result(Napi::Env env) const {
    const auto used = [&](const Napi::Reference<Napi::Int32Array>& reference) -> Napi::Value {
      const Napi::Int32Array array = reference.Value();
      if (made.length == array.ElementLength()) return array;
      return Napi::Int32Array::New(env, made.length, array.ArrayBuffer(), 0);
    };
    Napi::Object result = Napi::Object::New(env);
    result.Set("offsets", toArray(env, made.offsets));
    result.Set("genes", used(genes));
    result.Set("tokens", used(tokens));
    if (!counts.IsEmpty()) result.Set("counts", used(counts));
    result.Set("cells", toArray(env, made.cells));
    const auto number = [&](const char* name, std::size_t value) {
      result.Set(name, static_cast<double>(value));
    };
    number("emptyCells", made.emptyCells);
    number("unknownOnlyCells", made.unknownOnlyCells);
    number("smallCells", made.smallCells);
    number("shortenedCells", made.shortenedCells);
    number("leftOutGenes", made.leftOutGenes);
    number("unknownCounts", made.unknownCounts);
    result.Set("skippedRows", toArray(env, made.skippedRows));
    result.Set("unknownColumns", toArray(env, made.unknownColumns));
    return result;
  }
};

/// tokenizeCells(block, options): the batch and its report, or null where a cell must be refused.
Napi::Value tokenizeCells(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    Tokenizing call;
    call.slices.push_back(cellSlice(argument(info, 0, "block")));
    call.options = tokenizeOptions(argument(info, 1, "options"));
    if (call.slices[0].offsets.size() != call.slices[0].rows.size() + 1) return env.Null();
    call.picked.resize(call.slices[0].rows.size());
    for (std::size_t cell = 0; cell < call.picked.size(); ++cell) call.picked[cell].cell = cell;
    return call.prepare(env) && call.run() ? call.result(env) : env.Null();
  });
}

/// tokenizePicked(blocks, picked, options): as tokenizeCells, of cells named by pairs of block and cell, off
/// the event loop. Until it has ended nobody may change or free the arrays.
Napi::Value tokenizePicked(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const Napi::Env env = info.Env();
    const auto call = std::make_shared<Tokenizing>();
    const Field blocks = argument(info, 0, "blocks"), options = argument(info, 2, "options");
    if (!blocks.value.IsArray()) throw Error("ARGUMENT_TYPE", "expected an array for blocks");
    const auto list = blocks.value.As<Napi::Array>();
    for (std::uint32_t i = 0; i < list.Length(); ++i) {
      call->slices.push_back(cellSlice({list.Get(i), "blocks"}));
      call->kept.push_back(Napi::Persistent(list.Get(i).As<Napi::Object>()));
    }
    const std::vector<std::int32_t> picked = argument(info, 1, "picked").int32s();
    for (std::size_t i = 0; i + 1 < picked.size(); i += 2) {
      // A negative number becomes one that no block has.
      call->picked.push_back({static_cast<std::size_t>(picked[i]), static_cast<std::size_t>(picked[i + 1])});
    }
    call->options = tokenizeOptions(options);
    call->kept.push_back(Napi::Persistent(options.value.As<Napi::Object>()));
    if (!call->prepare(env)) throw Error("ARGUMENT_RANGE", "a cell is not in its block");
    return Job<bool>::start(
        env, [call] { return call->run(); },
        [call](Napi::Env target, bool& good) -> Napi::Value {
          return good ? call->result(target) : target.Null();
        });
  });
}

/// holdMemory(array): its memory no longer makes the garbage collector run; somebody else frees it.
void holdMemory(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Napi::Value array = info[0];
    if (!array.IsTypedArray()) throw Error("ARGUMENT_TYPE", "expected a typed array");
    const auto bytes = static_cast<std::int64_t>(array.As<Napi::TypedArray>().ArrayBuffer().ByteLength());
    Napi::MemoryManagement::AdjustExternalMemory(info.Env(), -bytes);
  });
}

/// freeMemory(array, held): gives its memory back at once; it and all views are empty then. `held`: whether
/// holdMemory was told.
void freeMemory(const Napi::CallbackInfo& info) {
  guarded(info.Env(), [&] {
    const Napi::Value array = info[0];
    if (!array.IsTypedArray()) throw Error("ARGUMENT_TYPE", "expected a typed array");
    Napi::ArrayBuffer memory = array.As<Napi::TypedArray>().ArrayBuffer();
    if (memory.IsDetached()) return;
    const auto bytes = static_cast<std::int64_t>(memory.ByteLength());
    if (argument(info, 1, "held").boolean()) Napi::MemoryManagement::AdjustExternalMemory(info.Env(), bytes);
    memory.Detach();
  });
}

}  // namespace

void exportTokenFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("tokenizeCells", Napi::Function::New<tokenizeCells>(env, "tokenizeCells"));
  exports.Set("tokenizePicked", Napi::Function::New<tokenizePicked>(env, "tokenizePicked"));
  exports.Set("holdMemory", Napi::Function::New<holdMemory>(env, "holdMemory"));
  exports.Set("freeMemory", Napi::Function::New<freeMemory>(env, "freeMemory"));
}

}  // namespace ddsc::addon
