import type { BackupHeader } from '../archive/format.ts';
import type { Archive } from '../archive/repository.ts';

/** The one document of `--json`: the header without its frames. */
export function answer(header: BackupHeader, archive: Archive): Record<string, unknown> {
  const { archives, requirements: _requirements, ...facts } = header;
  return {
    archive: archive.folder,
    ...facts,
    archives: archives.map(({ frames, ...file }) => ({ ...file, frames: frames.length })),
    seconds: secondsOf(header),
  };
}

/** What people read. */
export function describe(header: BackupHeader, archive: Archive): string[] {
  const mebibytes = (bytes: number): string => `${(bytes / 2 ** 20).toFixed(0)} MiB`;
  return [
    `backup ${header.label} (${header.kind}) in ${archive.folder}`,
    `${mebibytes(header.rawBytes)} in ${mebibytes(header.compressedBytes)}, ${secondsOf(header)} s, timeline ${header.timeline}, from ${header.start} to ${header.consistentFrom}`,
    header.kind === 'cold'
      ? 'it needs no log: the server was shut down'
      : header.ownLog
        ? 'it carries its own log'
        : 'it needs the archived log from start to end',
    ...describeRedo(header),
    ...describePause(header),
  ];
}

/** What the server wrote while it was copied: whole pages for what changed, since a copied page may be torn. */
function describeRedo({ extraRedo, kind }: BackupHeader): string[] {
  if (extraRedo === null || kind === 'cold') return [];
  const { fullPageImages, logBytes } = extraRedo;
  const mebibytes = (logBytes / 2 ** 20).toFixed(1);
  return [`meanwhile the server wrote ${mebibytes} MiB of log with ${fullPageImages} full-page images`];
}

function describePause({ kind, pauseMs }: BackupHeader): string[] {
  if (kind === 'cold')
    return [
      pauseMs === null
        ? 'the server was down before, and was left so'
        : `the server was down for ${pauseMs} ms`,
    ];
  return pauseMs === null ? [] : [`writers were paused for ${pauseMs} ms`];
}

function secondsOf({ startedAt, finishedAt }: BackupHeader): number {
  return (Date.parse(finishedAt) - Date.parse(startedAt)) / 1000;
}
