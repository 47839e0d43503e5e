import { DdscError } from "../../base/errors.js";
import { fullAddress, isHidden, publicAddress } from "./addresses.js";
import { ask } from "./http_request.js";

/** Where a file is, and how it is asked for. */
export interface Place {
  /** For messages. */
  readonly name: string;
  /** Whose the name is, where it does not say so. */
  readonly service?: string;
  /** Other hosts that redirects have led to. */
  readonly hosts: ReadonlySet<string>;
  /** The answer, whatever its status. */
  ask(headers: Readonly<Record<string, string>>, signal: AbortSignal): Promise<Response>;
  /** The error for an answer that is no part of the file, where more than its status is known; takes the answer's body. */
  refusal(response: Response): Promise<Error | undefined>;
}

/** A file behind an http(s) address. Throws `DATA_UNREADABLE` for one out of a record, without its password. */
export function webPlace(url: string): Place {
  const name = publicAddress(url);
  const address = fullAddress(name);
  if (isHidden(address)) throw hiddenError(name);
  const hosts = new Set<string>();
  return {
    name,
    hosts,
    ask: (headers, signal) => ask({ address, name, headers, signal, onOtherHost: (host) => hosts.add(host) }),
    refusal: async (response) => {
      await response.body?.cancel();
      return undefined;
    },
  };
}

/** The error for an address out of a record. */
function hiddenError(name: string): DdscError {
  return new DdscError(
    "DATA_UNREADABLE",
    `${name}: password, signature or token of this address are not recorded; give the address in full`,
    { file: name },
  );
}
