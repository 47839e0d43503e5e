#pragma once
// The addon's functions for data files, tokens, counts and memory: see lib/native/data.ts,
// lib/native/tokens.ts and lib/native/counts.ts.

#include <napi.h>

namespace ddsc::addon {

/// Adds those for data files to the addon's exports.
void exportDataFunctions(Napi::Env env, Napi::Object exports);

/// Adds those for tokens and memory.
void exportTokenFunctions(Napi::Env env, Napi::Object exports);

/// Adds those for the counts of cells.
void exportCountFunctions(Napi::Env env, Napi::Object exports);

}  // namespace ddsc::addon
