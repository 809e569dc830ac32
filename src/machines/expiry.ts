import type { MachineFacts } from './machines.ts';

/** Staging machines whose time has passed; one without an end never expires, and LIVE never does. */
export function findExpired<Machine extends Pick<MachineFacts, 'role' | 'expiresAt'>>(
  machines: readonly Machine[],
  now: Date,
): Machine[] {
  return machines.filter(
    ({ role, expiresAt }) =>
      role === 'staging' && expiresAt !== null && Date.parse(expiresAt) <= now.getTime(),
  );
}
