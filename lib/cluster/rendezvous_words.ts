/** What processes say to one another when they meet: JSON, a line each. */
import { createHmac } from "node:crypto";

/** Addresses that a rank tells of itself, at most. */
export const MOST_HOSTS = 16;

/** Where a rank can be found. */
export interface Place {
  readonly machine: string;
  readonly hosts: readonly string[];
  readonly port: number;
}

/** What a rank says of itself; `proof` is over all the rest. */
export interface Hello extends Place {
  readonly kind: "hello";
  readonly nonce: string;
  readonly rank: number;
  readonly world: number;
  readonly version: string;
  readonly proof: string;
}

/** What rank 0 says, a JSON object a line. */
export type Answer =
  | { readonly kind: "challenge"; readonly nonce: string }
  | { readonly kind: "refused"; readonly why: string }
  | {
      readonly kind: "welcome";
      readonly session: string;
      readonly places: readonly Place[];
      readonly proof: string;
    };

/** What proves that who says it knows the secret, and answers this challenge. */
export function proofOf(secret: string, challenge: string, hello: Omit<Hello, "kind" | "proof">): string {
  const { nonce, rank, world, version, machine, hosts, port } = hello;
  return sign(secret, ["hello", challenge, nonce, rank, world, version, machine, hosts, port]);
}

/** Over all of it, in this order. */
export function sign(secret: string, what: readonly unknown[]): string {
  return createHmac("sha256", secret).update(JSON.stringify(what)).digest("hex");
}

function parseObject(text: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

/** Undefined for anything else. */
export function parseHello(text: string): Hello | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  const { kind, nonce, rank, world, version, proof } = value;
  const place = parsePlace(value);
  const isHello = kind === "hello" && isCount(rank) && isCount(world);
  if (!isHello || place === undefined) return undefined;
  if (typeof nonce !== "string" || typeof version !== "string" || typeof proof !== "string") return undefined;
  return { kind, nonce, rank, world, version, proof, ...place };
}

/** Undefined for anything else. */
export function parseAnswer(text: string): Answer | undefined {
  const value = parseObject(text);
  if (value === undefined) return undefined;
  const { kind, nonce, why, session, places, proof } = value;
  if (kind === "challenge" && typeof nonce === "string") return { kind, nonce };
  if (kind === "refused" && typeof why === "string") return { kind, why };
  if (kind !== "welcome" || typeof session !== "string" || typeof proof !== "string") return undefined;
  if (!Array.isArray(places)) return undefined;
  const parsed = places.map((place: unknown) =>
    typeof place === "object" && place !== null
      ? parsePlace(place as Readonly<Record<string, unknown>>)
      : undefined,
  );
  const known = parsed.filter((place) => place !== undefined);
  return known.length === parsed.length ? { kind, session, places: known, proof } : undefined;
}

function parsePlace({ machine, hosts, port }: Readonly<Record<string, unknown>>): Place | undefined {
  const isPlace =
    typeof machine === "string" &&
    Array.isArray(hosts) &&
    hosts.length <= MOST_HOSTS + 1 &&
    hosts.every((host) => typeof host === "string") &&
    isCount(port) &&
    port <= 65_535;
  return isPlace ? { machine, hosts: hosts as string[], port } : undefined;
}

function isCount(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
