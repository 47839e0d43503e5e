/** The typed door to the addon's collectives. */
import { checkNumber } from "../base/errors.js";
import { callAddon } from "./addon.js";

/** What was joined. */
export interface NativeMembership {
  readonly rank: number;
  readonly size: number;
  /** The MPI library: the file that was asked for, its own name and version, and its binary interface; "", "TCP", "TCP" without one. */
  readonly file: string;
  readonly version: string;
  readonly abi: string;
}

/** What a rank knows of the others once all have met. */
export interface NativeTcpJob {
  readonly rank: number;
  /** What only ranks of the job know, 64 characters. */
  readonly token: string;
  /** Seconds that connecting may take. */
  readonly seconds: number;
  /** Where each rank listens, by rank: numeric addresses, best first, and the port. */
  readonly peers: readonly { readonly hosts: readonly string[]; readonly port: number }[];
}

/** NCCL as it was found. */
export interface NativeNccl {
  readonly file: string;
  /** Such as "2.21.5". */
  readonly version: string;
}

/** A communicator as the addon gives it. */
export interface AddonCommunicator {
  readonly port: number;
  join(job: NativeTcpJob | null): Promise<NativeMembership>;
  gather(message: Uint8Array): Promise<Uint8Array[]>;
  broadcast(message: Uint8Array, root: number): Promise<Uint8Array>;
  findNccl(libraries: readonly string[]): Promise<NativeNccl>;
  newNcclId(): Promise<Uint8Array>;
  joinNccl(device: string, id: Uint8Array, seconds: number): Promise<void>;
  dropNccl(): void;
  giveUp(code: string, message: string): void;
  leave(): Promise<void>;
}

interface CommunicatorAddon {
  readonly Communicator: new (libraries: readonly string[] | null, seconds: number) => AddonCommunicator;
}

/**
 * The processes of a job, and collectives over them, by MPI or TCP. Every process makes the same calls in the same order, one
 * after the other; they run on a thread of their own.
 */
export class NativeCommunicator {
  /** For the functions of the addon that take one. @hidden */
  readonly handle: AddonCommunicator;

  /**
   * @param libraries MPI libraries, of which the first that loads is used; "tcp": none, this one listens on a port of its own. Throws
   *   `CLUSTER_TCP` where it cannot
   * @param seconds after which a call that peers do not answer throws `CLUSTER_TIMEOUT`
   */
  constructor(libraries: readonly string[] | "tcp", seconds: number) {
    checkNumber("seconds", seconds, { min: 1, max: 1e7 });
    const given = libraries === "tcp" ? null : libraries;
    this.handle = callAddon((addon: CommunicatorAddon) => new addon.Communicator(given, seconds));
  }

  /** Where other ranks connect to, over TCP; 0 over MPI. */
  get port(): number {
    return callAddon(() => this.handle.port);
  }

  /**
   * Joins the job, once a process: loads a library, or connects to all other ranks. Throws `CLUSTER_MPI_LIBRARY`, `CLUSTER_MPI`,
   * `CLUSTER_TCP`, `CLUSTER_TIMEOUT`.
   *
   * @param job who the others are, over TCP alone
   */
  join(job?: NativeTcpJob): Promise<NativeMembership> {
    return callAddon(() => this.handle.join(job ?? null));
  }

  /**
   * What each rank gave, 64 MiB at most, in the order of ranks. Throws `CLUSTER_MPI` or `CLUSTER_TCP`, `CLUSTER_PEER_LOST`,
   * `CLUSTER_TIMEOUT`, and what `giveUp` was told.
   */
  gather(message: Uint8Array): Promise<Uint8Array[]> {
    return callAddon(() => this.handle.gather(message));
  }

  /** What rank `root` gave, 64 MiB at most. Throws as `gather`. */
  broadcast(message: Uint8Array, root = 0): Promise<Uint8Array> {
    return callAddon(() => this.handle.broadcast(message, root));
  }

  /** Loads the first of these libraries that is NCCL 2.14 or newer. Throws `CLUSTER_NCCL` with what each lacks. */
  findNccl(libraries: readonly string[]): Promise<NativeNccl> {
    return callAddon(() => this.handle.findNccl(libraries));
  }

  /** What one rank tells all others for `joinNccl`. Throws `CLUSTER_NCCL`. */
  newNcclId(): Promise<Uint8Array> {
    return callAddon(() => this.handle.newNcclId());
  }

  /**
   * From here on has NCCL sum gradients of models on this device: all ranks call it, and wait for one another. Throws `CLUSTER_NCCL`, and
   * `CLUSTER_TIMEOUT` after so many seconds.
   */
  joinNccl(device: string, id: Uint8Array, seconds: number): Promise<void> {
    return callAddon(() => this.handle.joinNccl(device, id, seconds));
  }

  /** Has gradients go through the host again. */
  dropNccl(): void {
    callAddon(() => this.handle.dropNccl());
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
