import { randomBytes } from 'node:crypto';

/** `refresh-20260314-223000-1f9c`: sorts by time, says what it is, and fits into names of snapshots. */
export function newRunId(kind: string, now: Date): string {
  const time = now.toISOString().replaceAll(/[-:]/g, '').replace('T', '-').slice(0, 15);
  return `${kind}-${time}-${randomBytes(2).toString('hex')}`;
}
