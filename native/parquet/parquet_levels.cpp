#include "parquet/parquet_levels.h"

#include "parquet/parquet_runs.h"

namespace ddsc::data {

namespace {

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

void LevelReader::read(const PageEntry& page, const PageBody& body) {
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
