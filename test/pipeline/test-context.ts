import { join } from 'node:path';
import { openControl } from '../../src/control/control.ts';
import { openLedger } from '../../src/control/ledger.ts';
import type { DatabaseAddress } from '../../src/databases/database.ts';
import type { GatePolicy } from '../../src/gate/facts.ts';
import { createContext, type Context } from '../../src/pipeline/context.ts';
import type { Operations } from '../../src/pipeline/operations.ts';

export const policy: GatePolicy = {
  minimumGrade: 5,
  maximumAgeMs: 3_600_000,
  departments: [
    { name: 'accounting', keyUsers: ['anna'], delegates: [] },
    { name: 'warehouse', keyUsers: ['wim'], delegates: ['wanda'] },
  ],
  checklist: ['the log of the kit was read'],
  recorders: ['dora'],
  confirmationMaximumAgeMs: null,
  windows: 'always',
  maskingRequired: true,
  rehearsalRequired: true,
  observationMaximumAgeMs: 600_000,
  guardMaximumAgeMs: 3_600_000,
};

export interface TestContextOptions {
  site: string;
  folder: string;
  address: DatabaseAddress;
  operations: Operations;
  signal?: AbortSignal;
  policy?: Partial<GatePolicy>;
  now?: () => Date;
}

/** A context over any control database and any world, without a site file. */
export async function openTestContext(options: TestContextOptions): Promise<Context> {
  const { site, folder, address, operations, now = () => new Date() } = options;
  const signal = options.signal ?? new AbortController().signal;
  const control = await openControl({ site, directory: join(folder, '.clona'), address, signal });
  const ledger = await openLedger(
    { control, headCopies: [{ path: join(folder, 'archive', 'head.json'), beside: null }] },
    now(),
  );
  return createContext(
    {
      site,
      control,
      ledger,
      operations,
      policy: { ...policy, ...options.policy },
      signal,
      onProgress: () => {},
      now,
    },
    async () => control[Symbol.asyncDispose](),
  );
}
