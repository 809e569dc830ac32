import { hostTime, type Instance } from './instance.ts';
import type { Given } from '../sql/fixtures.ts';
import type { Rows } from './view-rows.ts';

/** A row of V$SESSION_LONGOPS: what a session works at, as it is told while it works. */
export interface LongOperation {
  session: { id: number; serial: number };
  name: string;
  target: number | null;
  targetDescription: string | null;
  soFar: number;
  total: number;
  units: string;
  context: number;
  startedAt: number;
  updatedAt: number;
}

export interface NewLongOperation {
  session: { id: number; serial: number };
  name: string;
  total: number;
  target?: number;
  targetDescription?: string;
  units?: string;
  context?: number;
}

export function beginOperation(instance: Instance, given: NewLongOperation): LongOperation {
  const at = instance.settings.now();
  const operation: LongOperation = {
    target: null,
    targetDescription: null,
    units: 'Blocks',
    context: 1,
    ...given,
    soFar: 0,
    startedAt: at,
    updatedAt: at,
  };
  instance.longOperations.push(operation);
  return operation;
}

/** Tells how far it is; others may look before it goes on. */
export async function advance(instance: Instance, operation: LongOperation, by: number): Promise<void> {
  operation.soFar = Math.min(operation.total, operation.soFar + by);
  operation.updatedAt = instance.settings.now();
  await instance.pace();
}

const longRow = (instance: Instance, one: LongOperation): Given => {
  const seconds = Math.floor((one.updatedAt - one.startedAt) / 1000);
  const left =
    one.soFar === 0 ? null : Math.round((seconds * (one.total - one.soFar)) / Math.max(1, one.soFar));
  return {
    SID: one.session.id,
    'SERIAL#': one.session.serial,
    OPNAME: one.name,
    TARGET: one.target === null ? null : String(one.target),
    TARGET_DESC: one.targetDescription,
    SOFAR: one.soFar,
    TOTALWORK: one.total,
    UNITS: one.units,
    START_TIME: hostTime(instance, one.startedAt),
    LAST_UPDATE_TIME: hostTime(instance, one.updatedAt),
    TIME_REMAINING: left,
    ELAPSED_SECONDS: seconds,
    CONTEXT: one.context,
    MESSAGE: `${one.name}: ${one.soFar} out of ${one.total} ${one.units} done`,
    USERNAME: 'SYS',
    CON_ID: 0,
  };
};

/** Both are of the instance's memory: a start empties them. V$RECOVERY_PROGRESS is a part of the other one. */
export const longOperationViews: Record<string, Rows> = {
  V$SESSION_LONGOPS: (instance) => instance.longOperations.map((one) => longRow(instance, one)),
  V$RECOVERY_PROGRESS: (instance) =>
    instance.longOperations
      .filter(({ name }) => name === 'Media Recovery')
      .map((one) => ({
        START_TIME: hostTime(instance, one.startedAt),
        TYPE: 'Media Recovery',
        ITEM: one.targetDescription,
        UNITS: one.units,
        SOFAR: one.soFar,
        TOTAL: one.total,
        TIMESTAMP: hostTime(instance, one.updatedAt),
        COMMENTS: null,
        CON_ID: 0,
      })),
};
