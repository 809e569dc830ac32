import type { MachineFacts } from './machines.ts';

/** Staging machines whose time has passed; one without an end never expires, and LIVE never does. */
export function findExpired(machines: readonly MachineFacts[], now: Date): MachineFacts[] {
  return machines.filter(
    ({ role, expiresAt }) =>
      role === 'staging' && expiresAt !== null && Date.parse(expiresAt) <= now.getTime(),
  );
}
