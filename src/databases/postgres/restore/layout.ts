import { join } from 'node:path/posix';

/** Paths of one restore. Everything happens in `<target>.partial`; its rename to `<target>` is the switch. */
export interface RestoreLayout {
  target: string;
  /** The data directory while it is being made. */
  partial: string;
  /** What clona needs beside it; removed at the end, so that the data directory holds nothing of clona's. */
  work: string;
  marker: string;
  /** What the server says during recovery. */
  logFile: string;
  /** Log segments on their way to the server. */
  feed: string;
  /** Guests: what an interrupted run has unpacked already. */
  unpacked: string;
  recoveryConfiguration: string;
  recoveryAccess: string;
  /** Tablespaces lie here, each under its number: outside of the data directory, as the server wants them. */
  tablespaces: string;
}

export function layoutOf(target: string): RestoreLayout {
  const work = `${target}.restore`;
  return {
    target,
    partial: `${target}.partial`,
    work,
    marker: join(work, 'restore.json'),
    logFile: join(work, 'server.log'),
    feed: join(work, 'log'),
    unpacked: join(work, 'unpacked'),
    recoveryConfiguration: join(work, 'recovery.conf'),
    recoveryAccess: join(work, 'recovery_hba.conf'),
    tablespaces: `${target}.tablespaces`,
  };
}
