import type { Backup, Catalog } from '../recovery/catalog.ts';
import type { Policy } from '../retention/policy.ts';
import { planRemoval, type RemovalStep } from '../retention/removal.ts';
import { decideRetention } from '../retention/retention.ts';
import type { ZoneFacts } from '../retention/zone.ts';
import type { ZoneView } from './zone-turn.ts';

export const noBackupNow: ZoneFacts['backupNow'] = { raisesMark: false, freesBytes: 0, needsBytes: 0 };

export function decideKeeping(catalog: Catalog, policy: Policy): Pick<ZoneView, 'removal' | 'lowWaterMarks'> {
  const answer = decideRetention(catalog, policy, Date.now());
  return {
    removal: planRemoval(catalog, answer),
    lowWaterMarks: answer.lowWaterMarks.map(({ incarnation, position }) => ({
      incarnation,
      position: position === null ? null : String(position),
    })),
  };
}

/**
 * The same decision with a backup more, one that ends now, read back and no better. Only one that brings more than it
 * takes raises the mark in a way that helps: else the guard would fill the archive with backups. `like`: what the
 * engine's forced backup is.
 */
export async function whatIfBackup(
  catalog: Catalog,
  policy: Policy,
  like: Pick<Backup, 'kind' | 'grade'>,
  obsoleteBytes: number,
  sizeOf: (steps: readonly RemovalStep[]) => Promise<number> | number,
): Promise<ZoneFacts['backupNow']> {
  // Of several threads the one that is behind: a backup begins no later.
  const ends = catalog.onlineLogs
    .filter(({ incarnation }) => incarnation === catalog.currentIncarnation)
    .map(({ end }) => end);
  const end = ends.length === 0 ? undefined : ends.reduce((low, one) => (one < low ? one : low));
  const comparable = catalog.backups.filter(({ kind }) => like.kind !== 'managed' || kind === 'managed');
  const sizes = comparable.map(({ bytes }) => bytes ?? 0);
  const newest = comparable.findLast(({ state, bytes }) => state === 'available' && bytes !== null);
  // As large as the newest, and a tenth more for what came since.
  const needsBytes = Math.ceil((newest?.bytes ?? Math.max(0, ...sizes)) * 1.1);
  if (end === undefined) return { raisesMark: false, freesBytes: 0, needsBytes };
  const at = new Date().toISOString();
  const another: Backup = {
    ...like,
    label: '~a backup now',
    incarnation: catalog.currentIncarnation,
    start: end,
    consistentFrom: end,
    startedAt: at,
    finishedAt: at,
    device: null,
    state: 'available',
    ownLog: true,
    pinned: false,
    bytes: needsBytes,
  };
  const then = decideKeeping({ ...catalog, backups: [...catalog.backups, another] }, policy);
  const freesBytes = (await sizeOf(then.removal)) - obsoleteBytes;
  return { raisesMark: freesBytes > needsBytes, freesBytes: Math.max(0, freesBytes), needsBytes };
}
