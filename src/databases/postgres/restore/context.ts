import type { OnProgress } from '../../../progress.ts';
import type { Until } from '../../../recovery/question.ts';
import type { ArchiveCatalog } from '../catalog.ts';
import type { FoundBackup } from '../catalog-files.ts';
import type { PostgresBinaries } from '../server-binaries.ts';
import type { Estimate, MeasuredSpeed } from './estimate.ts';
import type { RestoreLayout } from './layout.ts';
import type { RestorePlace } from './place/place.ts';
import type { Selection } from './choose/select.ts';

/** Where a server that is left running listens. */
export interface StartRequest {
  socketDir: string;
  port: number;
  /** Comma-separated; empty: the Unix socket only. */
  addresses: string;
}

/** `restorePoint`: a name given by pg_create_restore_point, looked for on CURRENT's path first. */
export type RestoreUntil = Until | { kind: 'restorePoint'; name: string };

export interface RestoreOptions {
  archiveDir: string;
  mirrorDir?: string | undefined;
  until: RestoreUntil;
  place: RestorePlace;
  /** The data directory to be: absolute, in the place's own words. */
  target: string;
  /** Of the place; with a guest, paths are the guest's. */
  binaries: Pick<
    PostgresBinaries,
    'binDir' | 'moduleDir' | 'shareDir' | 'major' | 'versionNumber' | 'version'
  >;
  /** Threads. Default: what the host has, at most 4. */
  workers?: number | undefined;
  /** Where tablespaces go, by number; default: `<target>.tablespaces/<number>`. */
  tablespaces?: ReadonlyMap<number, string> | undefined;
  /** Superusers to try for the checks after opening; postgres is always tried. */
  users?: readonly string[] | undefined;
  onCollationMismatch?: 'reindex' | 'refuse' | undefined;
  /** Go on although extensions or libraries are missing here. */
  acceptMissing?: boolean | undefined;
  /** The target is a restored copy that may be made anew: what is right in it is kept. */
  replace?: boolean | undefined;
  sharedBuffers?: string | undefined;
  /** What an earlier restore measured, for the estimate. */
  speed?: MeasuredSpeed | undefined;
  dryRun?: boolean | undefined;
  /** Leave the server running, reachable there. Default: stopped cleanly. */
  start?: StartRequest | undefined;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
}

/** What every stage is given. */
export interface RestoreContext {
  options: RestoreOptions;
  place: RestorePlace;
  layout: RestoreLayout;
  archive: ArchiveCatalog;
  selection: Selection;
  /** Every copy of the chosen backup whose header reads, the primary first. */
  copies: (FoundBackup & {
    header: NonNullable<FoundBackup['header']>;
    manifest: NonNullable<FoundBackup['manifest']>;
  })[];
  estimate: Estimate;
  signal: AbortSignal;
  onProgress: OnProgress;
  warnings: string[];
}
