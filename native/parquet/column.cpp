#include "parquet/column.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <string_view>
#include <type_traits>
#include <unordered_map>

namespace ddsc::data {

namespace {

constexpr std::size_t kMaxEntries = std::size_t{1} << 27;

bool isDictionary(Encoding encoding) {
  return encoding == Encoding::dictionary || encoding == Encoding::plainDictionary;
}

template <class Out>
constexpr Out missingValue() {
  if constexpr (std::is_integral_v<Out>) return std::numeric_limits<Out>::min();
  return std::numeric_limits<Out>::quiet_NaN();
}

template <class Stored, class Out>
void convert(std::span<const Stored> stored, Out* out) {
  if constexpr (std::is_same_v<Out, std::int32_t>) {
    if constexpr (std::is_floating_point_v<Stored>) {
      throw Error("DATA_TYPE", "whole numbers are expected, the column holds fractions");
    } else {
      bool fits = true;
      for (std::size_t i = 0; i < stored.size(); ++i) {
        const auto value = static_cast<std::int64_t>(stored[i]);
        out[i] = static_cast<std::int32_t>(value);
        fits = fits && out[i] == value;
      }
      if (!fits) throw Error("DATA_TYPE", "a number does not fit 32 bits");
    }
  } else {
    for (std::size_t i = 0; i < stored.size(); ++i) out[i] = static_cast<Out>(stored[i]);
  }
}

/// Numbers of any physical type, as Out.
template <class Out>
class NumberDecoder {
 public:
  explicit NumberDecoder(Physical physical) : physical_(physical) {}

  void decode(Bytes input, Encoding encoding, std::size_t count, Out* out) const {
    switch (physical_) {
      case Physical::boolean: return as<std::uint8_t>(input, encoding, count, out);
      case Physical::int32: return as<std::int32_t>(input, encoding, count, out);
      case Physical::int64: return as<std::int64_t>(input, encoding, count, out);
      case Physical::float32: return as<float>(input, encoding, count, out);
      case Physical::float64: return as<double>(input, encoding, count, out);
      case Physical::byteArray: break;
    }
    throw Error("DATA_TYPE", "numbers are expected, the column holds something else");
  }

 private:
  template <class Stored>
  static void as(Bytes input, Encoding encoding, std::size_t count, Out* out) {
    if (encoding == Encoding::plain && count / 8 > input.size())
      corrupt("there are fewer values than the page says");
    if constexpr (std::is_same_v<Stored, Out>) {
      decodeNumbers<Stored>(input, encoding, {out, count});
    } else {
      std::vector<Stored> stored(count);
      decodeNumbers<Stored>(input, encoding, stored);
      convert<Stored, Out>(stored, out);
    }
  }

  Physical physical_;
};

/// Appends the values of a page, `missing` where `mask` is 0. `fill(out)` writes the values that are there.
template <class Out, class Fill>
void appendMasked(std::vector<Out>& values, const LevelReader& levels, Out missing, const Fill& fill) {
  const std::size_t start = values.size();
  if (levels.entries() > kMaxEntries - std::min(start, kMaxEntries)) {
    throw Error("DATA_TOO_LARGE",
                "more than 2^27 values are to be read at once; write the file with smaller pages");
  }
  values.resize(start + levels.entries());
  fill(values.data() + start);
  if (levels.mask().empty()) return;
  // From the end, so that nothing is overwritten before it has moved.
  std::size_t from = levels.present();
  for (std::size_t i = levels.entries(); i-- > 0;) {
    values[start + i] = levels.mask()[i] != 0 ? values[start + --from] : missing;
  }
}

/// Room for all pages at once, so that values do not move as pages are added; claims are believed only so
/// far.
template <class Out>
void reserveValues(const ColumnChunk& chunk, std::vector<Out>& values) {
  constexpr std::size_t believed = std::size_t{1} << 23;
  std::size_t total = 0;
  for (const Page& page : chunk.pages) {
    if (page.kind != Page::Kind::dictionary) total += std::min(page.values, believed);
  }
  values.reserve(std::min(total, believed));
}

/// Cuts out the rows of `range`; `starts` are the entries at which rows start.
template <class Out>
void cutLists(NumberColumn<Out>& column, const std::vector<std::int32_t>& starts, const RowRange& range) {
  const auto entries = static_cast<std::int32_t>(column.values.size());
  if (!range.startsInside && (starts.empty() ? entries > 0 : starts.front() != 0)) {
    corrupt("a column begins within a row");
  }
  if (range.first > starts.size() || range.count > starts.size() - range.first) {
    corrupt("a column has fewer rows than its row group");
  }
  const auto bound = [&](std::size_t row) { return row < starts.size() ? starts[row] : entries; };
  const std::int32_t first = bound(range.first), end = bound(range.first + range.count);
  column.offsets.resize(range.count + 1);
  for (std::size_t row = 0; row <= range.count; ++row) column.offsets[row] = bound(range.first + row) - first;
  column.values.resize(static_cast<std::size_t>(end));
  if (first > 0) column.values.erase(column.values.begin(), column.values.begin() + first);
}

template <class Value>
void cutRows(std::vector<Value>& values, const RowRange& range) {
  if (range.first > values.size() || range.count > values.size() - range.first) {
    corrupt("a column has fewer rows than its row group");
  }
  values.resize(range.first + range.count);
  values.erase(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(range.first));
}

/// Gathers distinct strings.
class TextPool {
 public:
  std::int32_t code(Bytes value) {
    const std::string_view text(reinterpret_cast<const char*>(value.data()), value.size());
    const auto [found, isNew] =
        codes_.try_emplace(std::string(text), static_cast<std::int32_t>(codes_.size()));
    if (isNew) {
      bytes_.insert(bytes_.end(), value.begin(), value.end());
      if (bytes_.size() > (std::size_t{1} << 30))
        throw Error("DATA_TOO_LARGE", "a column holds too much text");
      offsets_.push_back(static_cast<std::int32_t>(bytes_.size()));
    }
    return found->second;
  }
  void moveTo(TextColumn& column) {
    column.bytes = std::move(bytes_);
    column.offsets = std::move(offsets_);
  }

 private:
  std::unordered_map<std::string, std::int32_t> codes_;
  std::vector<std::uint8_t> bytes_;
  std::vector<std::int32_t> offsets_ = {0};
};

}  // namespace

template <class Out>
NumberColumn<Out> decodeNumberColumn(const ColumnChunk& chunk, const RowRange& range) {
  LevelReader levels(chunk.shape);
  const NumberDecoder<Out> decoder(chunk.shape.physical);
  const bool lists = chunk.shape.maxRepetition > 0;
  NumberColumn<Out> column;
  std::vector<Out> dictionary;
  std::vector<std::int32_t> starts;
  reserveValues(chunk, column.values);
  for (const Page& page : chunk.pages) {
    const PageBody body = splitPage(chunk.shape, page);
    if (page.kind == Page::Kind::dictionary) {
      if (page.values / 8 > body.values.size()) corrupt("a dictionary has fewer values than it says");
      dictionary.resize(page.values);
      decoder.decode(body.values, Encoding::plain, page.values, dictionary.data());
      continue;
    }
    levels.read(page, body);
    const auto base = static_cast<std::int32_t>(column.values.size());
    for (const std::int32_t start : levels.rowStarts()) starts.push_back(base + start);
    appendMasked(column.values, levels, missingValue<Out>(), [&](Out* out) {
      if (!isDictionary(page.encoding))
        return decoder.decode(body.values, page.encoding, levels.present(), out);
      decodeIndices<Out>(body.values, levels.present(), dictionary, out);
    });
  }
  if (lists) {
    cutLists(column, starts, range);
  } else {
    cutRows(column.values, range);
  }
  return column;
}

template NumberColumn<std::int32_t> decodeNumberColumn(const ColumnChunk&, const RowRange&);
template NumberColumn<float> decodeNumberColumn(const ColumnChunk&, const RowRange&);
template NumberColumn<double> decodeNumberColumn(const ColumnChunk&, const RowRange&);

TextColumn decodeTextColumn(const ColumnChunk& chunk, const RowRange& range) {
  if (chunk.shape.physical != Physical::byteArray || chunk.shape.maxRepetition > 0) {
    throw Error("DATA_TYPE", "text is expected, the column holds something else");
  }
  LevelReader levels(chunk.shape);
  TextColumn column;
  TextPool pool;
  std::vector<std::int32_t> dictionary;
  for (const Page& page : chunk.pages) {
    const PageBody body = splitPage(chunk.shape, page);
    if (page.kind == Page::Kind::dictionary) {
      const Strings strings = decodeStrings(body.values, Encoding::plain, page.values);
      dictionary.clear();
      for (const Bytes value : strings.values) dictionary.push_back(pool.code(value));
      continue;
    }
    levels.read(page, body);
    appendMasked(column.codes, levels, -1, [&](std::int32_t* out) {
      if (isDictionary(page.encoding)) {
        decodeIndices<std::int32_t>(body.values, levels.present(), dictionary, out);
      } else {
        const Strings strings = decodeStrings(body.values, page.encoding, levels.present());
        for (std::size_t i = 0; i < strings.values.size(); ++i) out[i] = pool.code(strings.values[i]);
      }
    });
  }
  cutRows(column.codes, range);
  pool.moveTo(column);
  return column;
}

std::vector<std::int32_t> rowsByPage(const ColumnChunk& chunk) {
  LevelReader levels(chunk.shape);
  std::vector<std::int32_t> rows;
  for (const Page& page : chunk.pages) {
    if (page.kind == Page::Kind::dictionary) {
      rows.push_back(0);
      continue;
    }
    levels.read(page, splitPage(chunk.shape, page));
    const std::size_t started = chunk.shape.maxRepetition > 0 ? levels.rowStarts().size() : levels.entries();
    rows.push_back(static_cast<std::int32_t>(started));
  }
  return rows;
}

}  // namespace ddsc::data
