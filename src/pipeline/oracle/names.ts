import { createHash } from 'node:crypto';

/** RMAN's tag of a step's backup: the same whenever the step is repeated. `attempt` from 1. */
export function backupTag(key: string, attempt: number): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 16).toUpperCase();
  return `CLONA_${digest}_${attempt}`;
}

/** Of the guaranteed restore points that stand beside LIVE's snapshots. */
export const guardPrefix = 'CLONA_G_';
/** Of the points that LIVE was counted at; the server forgets them by itself. */
const bearingPrefix = 'CLONA_P_';

/** Names that every release takes (30 bytes), told by the end of the run's own name. */
export function guardName(snapshot: string): string {
  return nameAfter(guardPrefix, snapshot);
}

export function bearingName(run: string): string {
  return nameAfter(bearingPrefix, run);
}

function nameAfter(prefix: string, name: string): string {
  const word = name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
  return `${prefix}${word.slice(-(30 - prefix.length))}`;
}
