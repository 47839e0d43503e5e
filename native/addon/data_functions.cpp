#include "addon/data_functions.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <cerrno>
#include <memory>
#include <string>
#include <system_error>

#include "addon/arguments.h"
#include "addon/async.h"
#include "cells/cell_lists.h"
#include "parquet/column.h"
#include "zstandard/zstd.h"

namespace ddsc::addon {

namespace {

/// Numbers of lib/native/data.ts's page table in one page, in order.
constexpr std::size_t kPageFields = 5;

/// Bytes of a JavaScript array, where they are: whoever reads them off the event loop holds the array, and
/// nobody may change it meanwhile.
data::Bytes bytesOf(const Field& value) {
  if (!value.value.IsTypedArray() || value.value.As<Napi::TypedArray>().TypedArrayType() != napi_uint8_array)
    throw Error("ARGUMENT_TYPE", "expected a Uint8Array for " + value.name);
  const auto array = value.value.As<Napi::Uint8Array>();
  return {array.Data(), array.ElementLength()};
}

/// Keeps JavaScript values from being collected; is made and dropped on the JavaScript thread.
using Held = std::shared_ptr<std::vector<Napi::ObjectReference>>;

Held holdArguments(const Napi::CallbackInfo& info) {
  auto held = std::make_shared<std::vector<Napi::ObjectReference>>();
  for (std::size_t i = 0; i < info.Length(); ++i)
    if (info[i].IsObject()) held->push_back(Napi::Persistent(info[i].As<Napi::Object>()));
  return held;
}

std::vector<data::Page> pagesOf(const Field& table, const Field& bodies) {
  const std::vector<std::uint64_t> numbers = table.naturals();
  if (!bodies.value.IsArray()) throw Error("ARGUMENT_TYPE", "expected an array for " + bodies.name);
  const auto bytes = bodies.value.As<Napi::Array>();
  if (numbers.size() != std::size_t{bytes.Length()} * kPageFields)
    throw Error("ARGUMENT_LENGTH", "a page has five numbers");
  std::vector<data::Page> pages(bytes.Length());
  for (std::uint32_t i = 0; i < pages.size(); ++i) {
    const std::uint64_t* const page = &numbers[i * kPageFields];
    if (page[0] > 2) throw Error("ARGUMENT_CHOICE", "there is no such kind of page");
    pages[i].kind = static_cast<data::Page::Kind>(page[0]);
    pages[i].encoding = static_cast<data::Encoding>(page[1]);
    pages[i].values = page[2];
    pages[i].definitionBytes = page[3];
    pages[i].repetitionBytes = page[4];
    pages[i].bytes = bytesOf({bytes.Get(i), bodies.name});
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
  chunk.shape.maxDefinition = level(value["maxDefinition"]);
  chunk.shape.maxRepetition = level(value["maxRepetition"]);
  if (chunk.shape.maxRepetition > 1) throw Error("DATA_FORMAT", "lists of lists are not supported");
  chunk.shape.entryDefinition = level(value["entryDefinition"]);
  chunk.pages = pagesOf(value["pages"], value["bodies"]);
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
Napi::Promise numbersJob(const Napi::CallbackInfo& info, data::ColumnChunk chunk, data::RowRange range) {
  return Job<data::NumberColumn<Out>>::start(
      info.Env(), [chunk = std::move(chunk), range] { return data::decodeNumberColumn<Out>(chunk, range); },
      [held = holdArguments(info)](Napi::Env target, data::NumberColumn<Out>& column) -> Napi::Value {
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
    if (type == "int32") return numbersJob<std::int32_t>(info, std::move(chunk), range);
    if (type == "float32") return numbersJob<float>(info, std::move(chunk), range);
    if (type == "float64") return numbersJob<double>(info, std::move(chunk), range);
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
        [held = holdArguments(info)](Napi::Env env, data::TextColumn& column) -> Napi::Value {
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
        [held = holdArguments(info)](Napi::Env env, std::vector<std::int32_t>& rows) -> Napi::Value {
          return toArray(env, rows);
        });
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
        [held = holdArguments(info)](Napi::Env env, data::CellRows& cells) -> Napi::Value {
          return cellRows(env, cells);
        });
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

/// Memory that is written to without having been cleared.
struct RawBytes {
  std::unique_ptr<std::uint8_t[]> bytes;
  std::size_t size = 0;
};

/// zstdDecompress(bytes, most)
Napi::Value zstdDecompress(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const data::Bytes input = bytesOf(argument(info, 0, "bytes"));
    const std::uint64_t most = argument(info, 1, "most").natural();
    if (most > std::uint64_t{1} << 31) throw Error("DATA_TOO_LARGE", "a buffer claims more than 2^31 bytes");
    return Job<RawBytes>::start(
        info.Env(),
        [input, most] {
          // Not initialised, so that a claim costs no memory until it is written to.
          RawBytes output{std::make_unique_for_overwrite<std::uint8_t[]>(most)};
          output.size = data::zstdDecompress(input, std::span<std::uint8_t>(output.bytes.get(), most));
          return output;
        },
        [held = holdArguments(info)](Napi::Env env, RawBytes& output) -> Napi::Value {
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

/// mapFile(descriptor, bytes)
Napi::Value mapFile(const Napi::CallbackInfo& info) {
  return guarded(info.Env(), [&]() -> Napi::Value {
    const auto descriptor = static_cast<int>(argument(info, 0, "descriptor").natural());
    const std::uint64_t bytes = argument(info, 1, "bytes").natural();
    const auto fail = [](const std::string& why) {
      throw Error("DATA_UNREADABLE", "a temporary file cannot be mapped into memory: " + why);
    };
    struct stat status{};
    if (fstat(descriptor, &status) != 0) fail(std::generic_category().message(errno));
    // Memory beyond the file's end would end the process.
    if (static_cast<std::uint64_t>(status.st_size) < bytes) fail("it is shorter than it should be");
    void* const memory =
        mmap(nullptr, static_cast<std::size_t>(bytes), PROT_READ | PROT_WRITE, MAP_PRIVATE, descriptor, 0);
    if (memory == MAP_FAILED) fail(std::generic_category().message(errno));
    auto size = std::make_unique<std::size_t>(bytes);
    const auto unmap = [](Napi::BasicEnv, void* mapped, std::size_t* length) {
      static_cast<void>(munmap(mapped, *length));
      std::default_delete<std::size_t>()(length);
    };
    const Napi::ArrayBuffer buffer =
        Napi::ArrayBuffer::New(info.Env(), memory, static_cast<std::size_t>(bytes), unmap, size.get());
    static_cast<void>(size.release());  // the array buffer's finalizer has it now
    return buffer;
  });
}

}  // namespace

void exportDataFunctions(Napi::Env env, Napi::Object exports) {
  exports.Set("decodeNumbers", Napi::Function::New<decodeNumbers>(env, "decodeNumbers"));
  exports.Set("decodeText", Napi::Function::New<decodeText>(env, "decodeText"));
  exports.Set("rowsByPage", Napi::Function::New<rowsByPage>(env, "rowsByPage"));
  exports.Set("readCells", Napi::Function::New<readCells>(env, "readCells"));
  exports.Set("joinCells", Napi::Function::New<joinCells>(env, "joinCells"));
  exports.Set("zstdDecompress", Napi::Function::New<zstdDecompress>(env, "zstdDecompress"));
  exports.Set("mapFile", Napi::Function::New<mapFile>(env, "mapFile"));
}

}  // namespace ddsc::addon
