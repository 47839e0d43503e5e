#include "addon/data_functions.h"

#include "addon/arguments.h"
#include "addon/async.h"
#include "cells/cell_lists.h"
#include "parquet/lz4_frame.h"
#include "parquet/parquet_column.h"
#include "parquet/snappy.h"
#include "parquet/zstd.h"

namespace ddsc::addon {

namespace {

/// Numbers of lib/native/data.ts's page table in one page, in order.
constexpr std::size_t kPageFields = 9;

std::vector<data::PageEntry> pageTable(const Field& value) {
  const std::vector<std::uint64_t> numbers = value.naturals();
  if (numbers.size() % kPageFields != 0) throw Error("ARGUMENT_LENGTH", "a page has nine numbers");
  std::vector<data::PageEntry> pages(numbers.size() / kPageFields);
  for (std::size_t i = 0; i < pages.size(); ++i) {
    const std::uint64_t* const page = &numbers[i * kPageFields];
    pages[i].offset = page[0];
    pages[i].compressedSize = page[1];
    pages[i].uncompressedSize = page[2];
    if (page[3] > 2) throw Error("ARGUMENT_CHOICE", "there is no such kind of page");
    pages[i].kind = static_cast<data::PageEntry::Kind>(page[3]);
    pages[i].encoding = static_cast<data::Encoding>(page[4]);
    pages[i].values = page[5];
    pages[i].definitionBytes = page[6];
    pages[i].repetitionBytes = page[7];
    pages[i].compressed = page[8] != 0;
  }
  return pages;
}

int level(const Field& value) {
  const std::int64_t number = value.integer();
  if (number < 0 || number > 255) throw Error("ARGUMENT_RANGE", "a level is 0 to 255");
  return static_cast<int>(number);
}

data::ColumnChunk columnChunk(const Field& value) {
  data::ColumnChunk chunk;
  chunk.shape.physical = static_cast<data::Physical>(value["physical"].integer());
  const std::int64_t codec = value["codec"].integer();
  if (codec != 0 && codec != 1 && codec != 6 && codec != 7)
    throw Error("ARGUMENT_CHOICE", "there is no such codec");
  chunk.shape.codec = static_cast<data::Codec>(codec);
  chunk.shape.maxDefinition = level(value["maxDefinition"]);
  chunk.shape.maxRepetition = level(value["maxRepetition"]);
  if (chunk.shape.maxRepetition > 1) throw Error("DATA_FORMAT", "lists of lists are not supported");
  chunk.shape.entryDefinition = level(value["entryDefinition"]);
  chunk.bytes = value["bytes"].bytes();
  chunk.pages = pageTable(value["pages"]);
  return chunk;
}

data::RowRange rowRange(const Field& value) {
  return {value["first"].natural(), value["count"].natural(), value["startsInside"].boolean()};
}

Napi::Uint8Array toBytes(Napi::Env env, const std::vector<std::uint8_t>& values) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, values.size());
  std::copy(values.begin(), values.end(), array.Data());
  return array;
}

/// A typed array over the vector's own memory, which it takes over: no copy.
template <class Array, class Element>
Array takeArray(Napi::Env env, std::vector<Element>& values) {
  if (values.empty()) return Array::New(env, 0);
  auto owner = std::make_unique<std::vector<Element>>(std::move(values));
  std::vector<Element>* const kept = owner.get();
  const Napi::ArrayBuffer memory = Napi::ArrayBuffer::New(
      env, kept->data(), kept->size() * sizeof(Element),
      [](Napi::BasicEnv, void*, std::vector<Element>* vector) {
        std::default_delete<std::vector<Element>>()(vector);
      },
      kept);
  owner.release();  // the array buffer's finalizer has it now
  return Array::New(env, kept->size(), memory, 0);
}

Napi::Object cellRows(Napi::Env env, data::CellRows& cells) {
  Napi::Object result = Napi::Object::New(env);
  result.Set("offsets", toArray(env, cells.offsets));
  result.Set("columns", takeArray<Napi::Int32Array>(env, cells.columns));
  result.Set("counts", takeArray<Napi::Float32Array>(env, cells.counts));
  result.Set("clean", cells.clean);
  result.Set("fractions", cells.fractions);
  result.Set("unknownRow", cells.unknownRow);
  result.Set("unknownToken", cells.unknownToken);
  return result;
}

template <class Out>
Napi::Promise numbersJob(Napi::Env env, data::ColumnChunk chunk, data::RowRange range) {
  return Job<data::NumberColumn<Out>>::start(
      env, [chunk = std::move(chunk), range] { return data::decodeNumberColumn<Out>(chunk, range); },
      [](Napi::Env target, data::NumberColumn<Out>& column) -> Napi::Value {
        Napi::Object result = Napi::Object::New(target);
        result.Set("values", toArray(target, column.values));
        result.Set("offsets", toArray(target, column.offsets));
        return result;
      });
}

/// decodeNumbers(chunk, range, "int32" | "float32" | "float64")
Napi::Value decodeNumbers(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    data::ColumnChunk chunk = columnChunk(argument(info, 0, "chunk"));
    const data::RowRange range = rowRange(argument(info, 1, "range"));
    const std::string type = argument(info, 2, "type").string();
    if (type == "int32") return numbersJob<std::int32_t>(info.Env(), std::move(chunk), range);
    if (type == "float32") return numbersJob<float>(info.Env(), std::move(chunk), range);
    if (type == "float64") return numbersJob<double>(info.Env(), std::move(chunk), range);
    throw Error("ARGUMENT_CHOICE", "there is no such type of numbers");
  });
}

/// decodeText(chunk, range)
Napi::Value decodeText(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const data::RowRange range = rowRange(argument(info, 1, "range"));
    return Job<data::TextColumn>::start(
        info.Env(),
        [chunk = columnChunk(argument(info, 0, "chunk")), range] {
          return data::decodeTextColumn(chunk, range);
        },
        [](Napi::Env env, data::TextColumn& column) -> Napi::Value {
          Napi::Object result = Napi::Object::New(env);
          result.Set("codes", toArray(env, column.codes));
          result.Set("offsets", toArray(env, column.offsets));
          result.Set("bytes", toBytes(env, column.bytes));
          return result;
        });
  });
}

/// rowsByPage(chunk)
Napi::Value rowsByPage(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Job<std::vector<std::int32_t>>::start(
        info.Env(), [chunk = columnChunk(argument(info, 0, "chunk"))] { return data::rowsByPage(chunk); },
        [](Napi::Env env, std::vector<std::int32_t>& rows) -> Napi::Value { return toArray(env, rows); });
  });
}

/// readCells(tokens, tokenRange, expressions, expressionRange, columnOf)
Napi::Value readCells(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Job<data::CellRows>::start(
        info.Env(),
        [tokens = columnChunk(argument(info, 0, "tokens")),
         tokenRange = rowRange(argument(info, 1, "tokenRange")),
         expressions = columnChunk(argument(info, 2, "expressions")),
         expressionRange = rowRange(argument(info, 3, "expressionRange")),
         columnOf = argument(info, 4, "columnOf").int32s()] {
          return data::joinLists(data::decodeNumberColumn<std::int32_t>(tokens, tokenRange),
                                 data::decodeNumberColumn<float>(expressions, expressionRange), columnOf);
        },
        [](Napi::Env env, data::CellRows& cells) -> Napi::Value { return cellRows(env, cells); });
  });
}

/// joinCells(tokens, tokenOffsets, expressions, expressionOffsets, columnOf): offsets begin at 0 and end at
/// the length.
Napi::Value joinCells(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto checkBounds = [](const std::vector<std::int32_t>& offsets, std::size_t size) {
      const bool good = !offsets.empty() && offsets.front() == 0 &&
                        std::is_sorted(offsets.begin(), offsets.end()) &&
                        static_cast<std::size_t>(offsets.back()) == size;
      if (!good) throw Error("DATA_CORRUPT", "a list's bounds contradict each other");
    };
    data::NumberColumn<std::int32_t> tokens{argument(info, 0, "tokens").int32s(),
                                            argument(info, 1, "tokenOffsets").int32s()};
    data::NumberColumn<float> expressions{argument(info, 2, "expressions").floats(),
                                          argument(info, 3, "expressionOffsets").int32s()};
    checkBounds(tokens.offsets, tokens.values.size());
    checkBounds(expressions.offsets, expressions.values.size());
    data::CellRows cells =
        data::joinLists(std::move(tokens), std::move(expressions), argument(info, 4, "columnOf").int32s());
    return cellRows(info.Env(), cells);
  });
}

/// snappyCompress(bytes)
Napi::Value snappyCompress(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    return Job<std::vector<std::uint8_t>>::start(
        info.Env(),
        [input = argument(info, 0, "bytes").bytes()] {
          std::vector<std::uint8_t> output;
          data::snappyCompress(input, output);
          return output;
        },
        [](Napi::Env env, std::vector<std::uint8_t>& output) -> Napi::Value { return toBytes(env, output); });
  });
}

/// Memory that is written to without having been cleared.
struct RawBytes {
  std::unique_ptr<std::uint8_t[]> bytes;
  std::size_t size = 0;
};

/// decompress(bytes, "lz4" | "zstd", size)
Napi::Value decompress(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const std::string codec = argument(info, 1, "codec").string();
    const std::uint64_t size = argument(info, 2, "size").natural();
    if (codec != "lz4" && codec != "zstd") throw Error("ARGUMENT_CHOICE", "there is no such codec");
    std::vector<std::uint8_t> input = argument(info, 0, "bytes").bytes();
    // No format grows by more: a larger claim is refused before memory is set aside.
    const std::uint64_t growth = codec == "lz4" ? 256 : std::uint64_t{1} << 16;
    if (size > std::uint64_t{1} << 31) throw Error("DATA_TOO_LARGE", "a buffer claims more than 2^31 bytes");
    if (size / growth > input.size())
      throw Error("DATA_CORRUPT", "a buffer claims more bytes than it can hold");
    return Job<RawBytes>::start(
        info.Env(),
        [input = std::move(input), isLz4 = codec == "lz4", size] {
          RawBytes output{std::make_unique_for_overwrite<std::uint8_t[]>(size), size};
          const std::span<std::uint8_t> bytes(output.bytes.get(), size);
          isLz4 ? data::lz4FrameDecompress(input, bytes) : data::zstdDecompress(input, bytes);
          return output;
        },
        [](Napi::Env env, RawBytes& output) -> Napi::Value {
          if (output.size == 0) return Napi::Uint8Array::New(env, 0);
          const Napi::ArrayBuffer memory =
              Napi::ArrayBuffer::New(env, output.bytes.get(), output.size, [](Napi::BasicEnv, void* bytes) {
                std::default_delete<std::uint8_t[]>()(static_cast<std::uint8_t*>(bytes));
              });
          output.bytes.release();  // the array buffer's finalizer has it now
          return Napi::Uint8Array::New(env, output.size, memory, 0);
        });
  });
}

}  // namespace

void exportDataFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("decodeNumbers", Napi::Function::New<decodeNumbers>(env, "decodeNumbers"));
  exports.Set("decodeText", Napi::Function::New<decodeText>(env, "decodeText"));
  exports.Set("rowsByPage", Napi::Function::New<rowsByPage>(env, "rowsByPage"));
  exports.Set("readCells", Napi::Function::New<readCells>(env, "readCells"));
  exports.Set("joinCells", Napi::Function::New<joinCells>(env, "joinCells"));
  exports.Set("decompress", Napi::Function::New<decompress>(env, "decompress"));
  exports.Set("snappyCompress", Napi::Function::New<snappyCompress>(env, "snappyCompress"));
}

}  // namespace ddsc::addon
