import { setTimeout as wait } from 'node:timers/promises';
import { OraError } from '../wire/values.ts';
import type { Instance } from './instance.ts';

/** V$INSTANCE.ACTIVE_STATE. Only SYS and SYSTEM work on while the system is quiesced. */
export type ActiveState = 'NORMAL' | 'QUIESCING' | 'QUIESCED';

const states = new WeakMap<Instance, ActiveState>();

export function activeState(instance: Instance): ActiveState {
  return states.get(instance) ?? 'NORMAL';
}

const someMs = 5;

/** Waits until nobody else is in a transaction; UNQUIESCE by another session ends the waiting. */
export async function quiesce(instance: Instance): Promise<void> {
  if (instance.settings.edition === 'SE2')
    throw new OraError(439, 'feature not enabled: Database resource manager');
  if (activeState(instance) !== 'NORMAL')
    throw new OraError(25504, 'the system is already in quiesced state');
  states.set(instance, 'QUIESCING');
  while (isBusy(instance)) {
    await wait(someMs);
    if (activeState(instance) === 'NORMAL')
      throw new OraError(1013, 'user requested cancel of current operation');
  }
  states.set(instance, 'QUIESCED');
}

export function unquiesce(instance: Instance): void {
  if (activeState(instance) === 'NORMAL') throw new OraError(25505, 'the system is not in quiesced state');
  states.set(instance, 'NORMAL');
}

export function forgetQuiesce(instance: Instance): void {
  states.delete(instance);
}

function isBusy({ sessions }: Instance): boolean {
  return [...sessions.values()].some(({ user, transaction }) => transaction !== null && user !== 'SYS');
}

/** What is not inside of a transaction already is held. */
export async function waitWhileQuiesced(
  instance: Instance,
  user: string,
  inTransaction: boolean,
): Promise<void> {
  if (user === 'SYS' || user === 'SYSTEM' || inTransaction) return;
  while (activeState(instance) !== 'NORMAL' && instance.status === 'OPEN') await wait(someMs);
}
