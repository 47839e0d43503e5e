/** The typed door to the addon's collectives. */
import { checkNumber } from "../base/errors.js";
import { callAddon } from "./addon.js";

/** What was joined. */
export interface NativeMembership {
  readonly rank: number;
  readonly size: number;
  /** The MPI library: the file that was asked for, its own name and version, and its binary interface. */
  readonly file: string;
  readonly version: string;
  readonly abi: string;
}

/** A communicator as the addon gives it. */
export interface AddonCommunicator {
  join(): Promise<NativeMembership>;
  gather(message: Uint8Array): Promise<Uint8Array[]>;
  broadcast(message: Uint8Array): Promise<Uint8Array>;
  giveUp(code: string, message: string): void;
  leave(): Promise<void>;
}

interface CommunicatorAddon {
  readonly Communicator: new (libraries: readonly string[], seconds: number) => AddonCommunicator;
}

/**
 * The processes of a job that MPI started, and collectives over them. Every process makes the same calls in the same order, one
 * after the other; they run on a thread of their own.
 */
export class NativeCommunicator {
  /** For the functions of the addon that take one. @hidden */
  readonly handle: AddonCommunicator;

  /**
   * @param libraries MPI libraries, of which the first that loads is used
   * @param seconds after which a call that peers do not answer throws `CLUSTER_TIMEOUT`
   */
  constructor(libraries: readonly string[], seconds: number) {
    checkNumber("seconds", seconds, { min: 1, max: 1e7 });
    this.handle = callAddon((addon: CommunicatorAddon) => new addon.Communicator(libraries, seconds));
  }

  /** Loads a library and joins the job, once a process. Throws `CLUSTER_MPI_LIBRARY`, `CLUSTER_MPI`, `CLUSTER_TIMEOUT`. */
  join(): Promise<NativeMembership> {
    return callAddon(() => this.handle.join());
  }

  /** What each rank gave, 64 MiB at most, in the order of ranks. Throws `CLUSTER_MPI`, `CLUSTER_TIMEOUT`, and what `giveUp` was told. */
  gather(message: Uint8Array): Promise<Uint8Array[]> {
    return callAddon(() => this.handle.gather(message));
  }

  /** What rank 0 gave, 64 MiB at most. Throws as `gather`. */
  broadcast(message: Uint8Array): Promise<Uint8Array> {
    return callAddon(() => this.handle.broadcast(message));
  }

  /** Ends the call under way and all later ones with an error of this code and message. */
  giveUp(code: string, message: string): void {
    callAddon(() => this.handle.giveUp(code, message));
  }

  /** Leaves the job once all others do. Throws as `gather`; no calls come after it. */
  leave(): Promise<void> {
    return callAddon(() => this.handle.leave());
  }
}
