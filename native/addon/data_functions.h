#pragma once
// The addon's functions for data files, tokens and memory: see lib/native/data.ts and lib/native/tokens.ts.

#include <napi.h>

namespace ddsc::addon {

/// Adds those for data files to the addon's exports.
void exportDataFunctions(Napi::Env env, Napi::Object exports);

/// Adds those for tokens and memory.
void exportTokenFunctions(Napi::Env env, Napi::Object exports);

}  // namespace ddsc::addon
