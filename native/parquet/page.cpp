#include "parquet/page.h"

#include <bit>

namespace ddsc::data {

namespace {

constexpr std::size_t kMaxPageValues = std::size_t{1} << 25;

/// Levels of version 1: a length in four bytes, then runs.
Bytes prefixedLevels(ByteReader& reader) { return reader.take(reader.fixed<std::uint32_t>()); }

/// Bits of levels 0..most.
int levelWidth(int most) { return static_cast<int>(std::bit_width(static_cast<unsigned>(most))); }

/// Whether all of `count` levels are `level`; nothing is written down for them.
bool allLevelsAre(Bytes runs, int most, std::size_t count, std::uint32_t level) {
  bool all = true;
  walkRuns(
      runs, levelWidth(most), count, [&](std::size_t, std::uint32_t value) { all = all && value == level; },
      [&](std::span<const std::uint32_t> values) {
        for (const std::uint32_t value : values) all = all && value == level;
      });
  return all;
}

void readLevels(Bytes runs, int most, std::size_t count, std::vector<std::uint8_t>& levels) {
  levels.clear();
  const auto checked = [most](std::uint32_t value) {
    if (value > static_cast<std::uint32_t>(most)) corrupt("a level is out of range");
    return static_cast<std::uint8_t>(value);
  };
  walkRuns(
      runs, levelWidth(most), count,
      [&](std::size_t repeats, std::uint32_t value) { levels.insert(levels.end(), repeats, checked(value)); },
      [&](std::span<const std::uint32_t> values) {
        for (const std::uint32_t value : values) levels.push_back(checked(value));
      });
}

}  // namespace

PageBody splitPage(const ColumnShape& shape, const Page& page) {
  if (page.values > kMaxPageValues)
    throw Error("DATA_TOO_LARGE", "a page claims more than 2^25 values; write it with smaller row groups");
  ByteReader reader(page.bytes);
  PageBody body;
  if (page.kind == Page::Kind::dataV2) {
    body.repetition = reader.take(page.repetitionBytes);
    body.definition = reader.take(page.definitionBytes);
  } else if (page.kind == Page::Kind::dataV1) {
    if (shape.maxRepetition > 0) body.repetition = prefixedLevels(reader);
    if (shape.maxDefinition > 0) body.definition = prefixedLevels(reader);
  }
  body.values = reader.rest();
  return body;
}

void LevelReader::read(const Page& page, const PageBody& body) {
  mask_.clear();
  rowStarts_.clear();
  present_ = entries_ = page.values;
  const int most = shape_.maxDefinition;
  const bool complete =
      most == 0 || allLevelsAre(body.definition, most, page.values, static_cast<std::uint32_t>(most));
  if (!complete) readLevels(body.definition, most, page.values, definition_);
  if (shape_.maxRepetition > 0) {
    if (complete) {
      readRowStarts(body.repetition, page.values);
    } else {
      readLevels(body.repetition, 1, page.values, repetition_);
      readLists(page.values);
    }
  } else if (!complete) {
    mask_.resize(page.values);
    present_ = 0;
    for (std::size_t i = 0; i < page.values; ++i) {
      mask_[i] = definition_[i] == most;
      present_ += mask_[i];
    }
  }
}

void LevelReader::readRowStarts(Bytes runs, std::size_t values) {
  std::int32_t at = 0;
  walkRuns(
      runs, 1, values,
      [&](std::size_t count, std::uint32_t level) {
        for (std::size_t i = 0; level == 0 && i < count; ++i) {
          rowStarts_.push_back(at + static_cast<std::int32_t>(i));
        }
        at += static_cast<std::int32_t>(count);
      },
      [&](std::span<const std::uint32_t> levels) {
        for (const std::uint32_t level : levels) {
          if (level == 0) rowStarts_.push_back(at);
          ++at;
        }
      });
}

void LevelReader::readLists(std::size_t values) {
  present_ = entries_ = 0;
  for (std::size_t i = 0; i < values; ++i) {
    if (repetition_[i] == 0) rowStarts_.push_back(static_cast<std::int32_t>(entries_));
    if (definition_[i] < shape_.entryDefinition) {
      if (repetition_[i] != 0) corrupt("a list that is empty goes on");
      continue;
    }
    const bool there = definition_[i] == shape_.maxDefinition;
    mask_.push_back(there);
    ++entries_;
    present_ += there;
  }
  if (present_ == entries_) mask_.clear();
}

}  // namespace ddsc::data
