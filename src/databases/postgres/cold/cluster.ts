import type { PostgresBinaries, RunAs } from '../server-binaries.ts';

/**
 * A cluster whose files lie on this host and whose server can be stopped and started. Both can be repeated: what is stopped
 * already, or runs already, is fine.
 */
export interface ColdCluster {
  dataDir: string;
  /** The server's user, as whom its files are guarded; undefined: we are that user ourselves. */
  owner: RunAs | undefined;
  /** The programs its server runs with. */
  binaries: PostgresBinaries;
  /** Ends sessions, writes the checkpoint, and returns when the server is gone. */
  stop: (signal: AbortSignal) => Promise<void>;
  /** As it ran before; returns when the server answers. */
  start: (signal: AbortSignal) => Promise<void>;
}
