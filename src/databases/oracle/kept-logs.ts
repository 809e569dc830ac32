import type { ArchivedLog, Catalog } from '../../recovery/catalog.ts';
import { asPosition } from '../../recovery/position.ts';
import { ownerOnPath } from './incarnations.ts';

/** An archived log that lies in an archive folder, whatever the server still knows of it. */
export interface KeptLog {
  /** As the machine that has the archive sees it; `.zst`: compressed. */
  path: string;
  /** SCN of the RESETLOGS that began its incarnation. */
  branch: string;
  thread: number;
  sequence: number;
  first: string;
  next: string;
  firstTime: string | null;
  nextTime: string | null;
  state: 'available' | 'missing' | 'damaged';
  /** A second copy of it. */
  mirror?: string | undefined;
  /** SHA-256 of the log itself, before it was compressed. */
  sha256?: string | undefined;
}

const added = new WeakSet<ArchivedLog>();

/** Kept logs as copies of the catalog's: only those of which it has no other that can be read. */
export function withKeptLogs(catalog: Catalog, kept: readonly KeptLog[]): Catalog {
  if (kept.length === 0) return catalog;
  const nameOf = ({ incarnation, thread, sequence, first }: ArchivedLog): string =>
    `${incarnation}/${thread}/${sequence}/${first}`;
  const have = new Set(catalog.logs.filter(({ state }) => state === 'available').map(nameOf));
  const logs = [...catalog.logs];
  for (const one of kept) {
    const incarnation = findIncarnation(one.branch, catalog);
    if (incarnation === null || one.state !== 'available') continue;
    const { thread, sequence, firstTime, nextTime, state } = one;
    const [first, next] = [asPosition(BigInt(one.first)), asPosition(BigInt(one.next))];
    const log: ArchivedLog = { incarnation, thread, sequence, first, next, firstTime, nextTime, state };
    if (have.has(nameOf(log))) continue;
    have.add(nameOf(log));
    added.add(log);
    logs.push(log);
  }
  return { ...catalog, logs };
}

/** What is remembered must not take a kept log for one that the server showed. */
export function withoutKeptLogs(catalog: Catalog): Catalog {
  return { ...catalog, logs: catalog.logs.filter((log) => !added.has(log)) };
}

/** Two may begin at the same SCN, when LIVE was reverted twice: the one on the way to the current is meant, if there is one. */
export function findIncarnation(
  branch: string,
  { incarnations, currentIncarnation }: Pick<Catalog, 'incarnations' | 'currentIncarnation'>,
): number | null {
  const position = asPosition(BigInt(branch));
  const same = incarnations.filter(({ branchPosition }) => branchPosition === position);
  if (same.length < 2) return same[0]?.id ?? null;
  const onPath = ownerOnPath(incarnations, currentIncarnation, position);
  return same.find(({ id }) => id === onPath)?.id ?? null;
}
