import type { DatabaseAddress } from '../../../database.ts';
import type { ServerSettings } from '../../server-settings.ts';
import type { SegmentJob } from '../unpack/unpack-job.ts';
import type { UnpackOptions, UnpackOutcome } from '../unpack/unpack.ts';

export type PlaceUnpackOptions = Omit<UnpackOptions, 'owner' | 'pool'> & {
  /** File in which a place may remember what it has finished (layout.ts). */
  journal: string;
};
export type PlaceSegment = Omit<SegmentJob, 'kind' | 'owner'>;

export interface PlaceServerOptions {
  dataDir: string;
  /** Appended to; `dataDir` beside it. */
  logFile: string;
  /** On the command line: stronger than every file. */
  settings: ServerSettings;
  /** Default: no network, a Unix socket that only we know. */
  listen?: { socketDir: string; port: number; addresses: string } | undefined;
  timeoutMs: number;
  signal: AbortSignal;
}

export interface StartByHand {
  socketDir: string;
  port: number | undefined;
}

/** Of a folder that is absent or empty. */
export interface ExaminedTarget {
  /** Of the file system it will lie on. */
  freeBytes: number;
  /** The folder that the server's user may not enter; null: it can reach the target. */
  unreachable: string | null;
  /** It is the top of a file system: nothing can be renamed to it. */
  isMountPoint: boolean;
}

export interface PlaceServer {
  address: (database: string, user: string) => DatabaseAddress;
  stop: (mode: 'fast' | 'immediate') => Promise<void>;
}

/**
 * Where a cluster is restored: this host, or a guest over SSH. Paths are the place's own; all that is written belongs
 * to the user the server runs as, and is readable by that user alone.
 */
export interface RestorePlace extends AsyncDisposable {
  /** For messages: empty for this host. */
  readonly where: string;
  /** Not this host: paths here mean nothing there. */
  readonly isElsewhere: boolean;
  /** The server's user is another one than clona's, who may not be allowed to make files beside a target. */
  readonly isForAnother: boolean;
  /** null: there is no such file. */
  readText: (path: string) => Promise<string | null>;
  writeText: (path: string, text: string) => Promise<void>;
  /** Names in a folder; null: there is no such folder. */
  list: (path: string) => Promise<string[] | null>;
  isThere: (path: string) => Promise<boolean>;
  makeFolder: (path: string) => Promise<void>;
  /** With all that is in it; absent: nothing to do. */
  remove: (path: string) => Promise<void>;
  rename: (from: string, to: string) => Promise<void>;
  /** The folder that a path stands for: links are followed, and one that leads nowhere is `targetOccupied`. */
  resolve: (path: string) => Promise<string>;
  examine: (path: string) => Promise<ExaminedTarget>;
  /** Which of these files of the server's installation are absent. */
  findMissing: (paths: readonly string[]) => Promise<string[]>;
  unpack: (options: PlaceUnpackOptions) => Promise<UnpackOutcome>;
  putSegment: (segment: PlaceSegment) => Promise<void>;
  startServer: (options: PlaceServerOptions) => Promise<PlaceServer>;
  /** What a single-user server answers to one query as the cluster's first user, whatever its name; the cluster must be stopped. */
  askAlone: (dataDir: string, settings: ServerSettings, query: string) => Promise<string>;
  /** The line that starts a server on a data directory by hand, in a shell of root or of the user clona runs as. */
  startLine: (dataDir: string, logFile: string, start: StartByHand) => string;
  /** Stops whatever server runs on a data directory; none: nothing to do. */
  stopServer: (dataDir: string) => Promise<void>;
}
