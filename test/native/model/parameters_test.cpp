// Names, shapes, places and first values of parameters: checkpoints that are out there depend on them.
#include "model/parameters.h"

#include <bit>
#include <cstdint>
#include <string>
#include <vector>

#include "test/native/harness.h"
#include "test/native/model/count_model.h"
#include "test/native/model/small_model.h"
#include "test/native/support.h"

namespace ddsc::test {
namespace {

DDSC_TEST("the parameters of a rank model stand where they stood before there were models of counts") {
  const std::vector<std::string> expected = {
      "vocab_embed.embedding 54 32 at 0",
      "cond_embed.embedding 40 32 at 1728",
      "sigma_map.mlp.0.weight 16 256 at 3008",
      "sigma_map.mlp.0.bias 16 at 7104",
      "sigma_map.mlp.2.weight 16 16 at 7120",
      "sigma_map.mlp.2.bias 16 at 7376",
      "blocks.0.norm1.weight 32 at 7392",
      "blocks.0.norm2.weight 32 at 7424",
      "blocks.0.attn_qkv.weight 96 32 at 7456",
      "blocks.0.attn_out.weight 32 32 at 10528",
      "blocks.0.mlp.0.weight 128 32 at 11552",
      "blocks.0.mlp.0.bias 128 at 15648",
      "blocks.0.mlp.2.weight 32 128 at 15776",
      "blocks.0.mlp.2.bias 32 at 19872",
      "blocks.0.adaLN_modulation.weight 192 16 at 34240",
      "blocks.0.adaLN_modulation.bias 192 at 41408",
      "blocks.1.norm1.weight 32 at 19904",
      "blocks.1.norm2.weight 32 at 19936",
      "blocks.1.attn_qkv.weight 96 32 at 19968",
      "blocks.1.attn_out.weight 32 32 at 23040",
      "blocks.1.mlp.0.weight 128 32 at 24064",
      "blocks.1.mlp.0.bias 128 at 28160",
      "blocks.1.mlp.2.weight 32 128 at 28288",
      "blocks.1.mlp.2.bias 32 at 32384",
      "blocks.1.adaLN_modulation.weight 192 16 at 37312",
      "blocks.1.adaLN_modulation.bias 192 at 41600",
      "output_layer.norm_final.weight 32 at 32416",
      "output_layer.linear.weight 54 32 at 32448",
      "output_layer.linear.bias 54 at 34176",
      "output_layer.adaLN_modulation.weight 64 16 at 40384",
      "output_layer.adaLN_modulation.bias 64 at 41792",
  };
  const ParameterLayout layout(smallConfig());
  std::vector<std::string> actual;
  for (const Parameter* p : layout.all()) {
    std::string text = p->name;
    for (const std::int64_t size : p->shape) text += " " + std::to_string(size);
    actual.push_back(text + " at " + std::to_string(p->offset));
  }
  checkEqual(actual.size(), expected.size());
  for (std::size_t i = 0; i < expected.size(); ++i) checkEqual(actual[i], expected[i]);
  checkEqual(layout.size, 41856);
}

DDSC_TEST("a rank model starts with the weights that it started with before there were models of counts") {
  Model model(backendUnderTest(1), smallConfig(), DType::f32, true);
  model.parameters().initialise(5);
  std::uint64_t hash = 14695981039346656037U;  // FNV-1a over the bytes, lowest first
  for (const float weight : buffer(model, "weights"))
    for (int shift = 0; shift < 32; shift += 8)
      hash = (hash ^ (std::bit_cast<std::uint32_t>(weight) >> shift & 0xff)) * 1099511628211U;
  checkEqual(hash, 0xa23c28bee2ec0048U);
}

DDSC_TEST(
    "a count model has the parameters of a rank model of its shape and starts with the same weights in "
    "them") {
  const DenoiserConfig config = countConfig();
  DenoiserConfig ranks = config;
  ranks.state = ranks.summary = 0;
  ranks.conditions.clear();
  ranks.learntSizes = ranks.sizesByState = false;
  Model ofCounts(backendUnderTest(1), config, DType::f32, true),
      ofRanks(backendUnderTest(1), ranks, DType::f32, true);
  for (Model* model : {&ofCounts, &ofRanks}) model->parameters().initialise(5);
  const std::vector<float> counts = buffer(ofCounts, "weights"), expected = buffer(ofRanks, "weights");
  checkSameBits(
      std::vector<float>(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(expected.size())),
      expected);
}

DDSC_TEST("a count model whose state moves no sizes starts with the weights of one whose state does") {
  const DenoiserConfig with = countConfig();
  DenoiserConfig without = with;
  without.sizesByState = false;
  Model moving(backendUnderTest(1), with, DType::f32, true),
      still(backendUnderTest(1), without, DType::f32, true);
  for (Model* model : {&moving, &still}) model->parameters().initialise(5);
  const std::vector<float> expected = buffer(still, "weights"), weights = buffer(moving, "weights");
  const ParameterLayout layout(with);
  const ParameterLayout before(without);
  const auto all = layout.all(), theirs = before.all();
  checkEqual(all.size(), theirs.size() + 1);
  check(all.back()->name == "size_factor.weight", "another parameter came last");
  const auto of = [](const std::vector<float>& values, std::int64_t offset, std::int64_t size) {
    return std::vector<float>(values.begin() + offset, values.begin() + offset + size);
  };
  for (std::size_t i = 0; i < theirs.size(); ++i) {
    check(theirs[i]->name == all[i]->name, "another order");
    checkSameBits(of(weights, all[i]->offset, all[i]->size()),
                  of(expected, theirs[i]->offset, all[i]->size()));
  }
  for (const float value : of(weights, all.back()->offset, all.back()->size())) checkEqual(value, 0.0f);
}

DDSC_TEST("the state learns at its own rate, what moves sizes at a part of that, all else at the network's") {
  for (const bool moves : {false, true}) {
    DenoiserConfig config = countConfig();
    config.sizesByState = moves;
    Model model(backendUnderTest(1), config, DType::f32, true);
    model.parameters().initialise(5);
    const std::vector<float> before = buffer(model, "weights");
    const std::vector<float> ones(before.size(), 1);
    model.parameters().write("gradient", 0, {ones.data(), static_cast<std::int64_t>(ones.size())});
    // Adam's first step is the rate itself, whatever the gradient.
    model.parameters().update({0.01, 0.9, 0.999, 1e-12, 0, 0.9, 0, 1, 3, 0.1});
    const std::vector<float> after = buffer(model, "weights");
    for (const Parameter* p : model.parameters().layout().all()) {
      const bool ofState = p->name.starts_with("factor") || p->name.starts_with("cell_state") ||
                           p->name.starts_with("summary") || p->name == "log_size";
      const double rate = p->name == "size_factor.weight" ? 0.003 : ofState ? 0.03 : 0.01;
      for (std::int64_t i = p->offset; i < p->offset + p->size(); ++i) {
        const auto at = static_cast<std::size_t>(i);
        checkClose(static_cast<double>(before[at]) - static_cast<double>(after[at]), rate, 1e-6);
      }
    }
  }
}

DDSC_TEST("no two parameters of a count model share a place") {
  for (const DenoiserConfig& config : {countConfig(), plainCountConfig()}) {
    const ParameterLayout layout(config);
    std::vector<int> owners(static_cast<std::size_t>(layout.size), 0);
    for (const Parameter* p : layout.all())
      for (std::int64_t i = 0; i < p->size(); ++i) ++owners.at(static_cast<std::size_t>(p->offset + i));
    for (const int count : owners) check(count <= 1, "a place has two owners");
  }
}

}  // namespace
}  // namespace ddsc::test
