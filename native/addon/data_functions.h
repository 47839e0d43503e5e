#pragma once
// The addon's functions for data files and tokens: see lib/native_data.ts.

#include <napi.h>

namespace ddsc::addon {

/// Adds them to the addon's exports.
void exportDataFunctions(Napi::Env env, Napi::Object exports);

}  // namespace ddsc::addon
