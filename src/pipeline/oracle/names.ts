import { createHash } from 'node:crypto';

/** RMAN's tag of a step's backup: the same whenever the step is repeated. `attempt` from 1. */
export function backupTag(key: string, attempt: number): string {
  const digest = createHash('sha256').update(key).digest('hex').slice(0, 16).toUpperCase();
  return `CLONA_${digest}_${attempt}`;
}

export const pointPrefix = 'CLONA_';

/** A name for a restore point that every release takes (30 bytes), told by the end of the run's own name. */
export function pointName(name: string): string {
  const word = name.toUpperCase().replaceAll(/[^A-Z0-9]+/g, '_');
  return `${pointPrefix}${word.slice(-(30 - pointPrefix.length))}`;
}
