export { findParts } from "./find_parts.js";
export type { ChunksJoined } from "./join_chunks.js";
export { type JoinedParts, type JoinPartsOptions, joinParts } from "./join_parts.js";
export { partPath, type Shard } from "./shard.js";
