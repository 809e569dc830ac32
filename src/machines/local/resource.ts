import { z } from 'zod';
import { ClonaError } from '../../errors.ts';
import type { MachineFacts } from '../machines.ts';
import { createLocalMachine } from './create.ts';
import { describeMachine } from './describe.ts';
import { destroyLocalMachine } from './destroy.ts';
import { exists, machinePaths, readRecord, requireName, writeRecord } from './layout.ts';
import { withFileLock } from './lock.ts';

/** What a program says of a staging machine on this host: the inputs of the resource `clona-local:index:Machine`. */
const inputsSchema = z.strictObject({
  root: z.string().startsWith('/', { error: 'is no absolute path' }),
  name: z.string().check(({ value, issues }) => {
    try {
      requireName(value);
    } catch {
      issues.push({
        code: 'custom',
        message: 'is no name: lowercase letters, digits, hyphens',
        input: value,
      });
    }
  }),
  /** The machine whose system disk is cloned. */
  source: z.string(),
  sourceRoot: z.string().startsWith('/', { error: 'is no absolute path' }).optional(),
  isolation: z.enum(['network', 'configuration']).optional(),
  /** Either a moment, or how long after it was made. Neither: never. */
  expiresAt: z.iso.datetime().optional(),
  timeToLiveMs: z.number().positive().optional(),
  protect: z.boolean().optional(),
  labels: z.record(z.string(), z.string()).optional(),
  databaseName: z.string().optional(),
  databaseUser: z.string().optional(),
});

export type MachineInputs = z.infer<typeof inputsSchema>;

export interface MachineOutputs extends MachineInputs {
  machine: MachineFacts;
}

/** Another value of one of these makes another machine; the rest is changed in place. */
const replacing = [
  'root',
  'name',
  'source',
  'sourceRoot',
  'isolation',
  'databaseName',
  'databaseUser',
] as const;
const changing = ['expiresAt', 'timeToLiveMs', 'protect', 'labels'] as const;

/** Every mistake in the inputs at once; none: they can be used. */
export function checkMachine(inputs: unknown): { property: string; reason: string }[] {
  const parsed = inputsSchema.safeParse(inputs);
  if (parsed.success) {
    return parsed.data.expiresAt !== undefined && parsed.data.timeToLiveMs !== undefined
      ? [{ property: 'timeToLiveMs', reason: 'is given beside expiresAt: one of them says when it ends' }]
      : [];
  }
  return parsed.error.issues.map(({ path, message }) => ({ property: path.join('.'), reason: message }));
}

/** What a change of inputs does. `before` may hold outputs beside them. */
export function compareMachine(
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): { changes: boolean; replaces: string[] } {
  const differs = (key: string): boolean => canonical(before[key]) !== canonical(after[key]);
  const replaces = replacing.filter(differs);
  return { changes: replaces.length > 0 || changing.some(differs), replaces };
}

function canonical(value: unknown): string {
  if (value === undefined || value === null) return '';
  if (typeof value !== 'object') return JSON.stringify(value);
  return JSON.stringify(Object.entries(value).toSorted(([left], [right]) => (left < right ? -1 : 1)));
}

/** Makes the machine. What an attempt of the same owner left, whole or half, is replaced. */
export async function createMachine(
  owner: string,
  inputs: MachineInputs,
  signal: AbortSignal,
): Promise<MachineOutputs> {
  const { root, name, source, sourceRoot = root, ...rest } = inputsSchema.parse(inputs);
  const { isolation, protect, labels, databaseName, databaseUser } = rest;
  const createdAt = new Date().toISOString();
  const machine = await createLocalMachine(
    {
      isolation,
      protect,
      labels,
      databaseName,
      databaseUser,
      root,
      name,
      role: 'staging',
      source: { root: sourceRoot, name: source },
      owner,
      createdAt,
      expiresAt: expiryOf(createdAt, inputs),
    },
    signal,
  );
  return { ...inputs, machine };
}

function expiryOf(createdAt: string, { expiresAt, timeToLiveMs }: MachineInputs): string | null {
  if (timeToLiveMs !== undefined) return new Date(Date.parse(createdAt) + timeToLiveMs).toISOString();
  return expiresAt === undefined ? null : new Date(expiresAt).toISOString();
}

/** The machine as it is now, or undefined where nothing usable of it is left. */
export async function readMachine(inputs: MachineInputs): Promise<MachineOutputs | undefined> {
  const paths = machinePaths(inputs.root, inputs.name);
  const record = await readRecord(paths);
  if (record?.complete !== true || record.role !== 'staging') return undefined;
  if (!(await exists(paths.system)) && record.reverting === null) return undefined;
  return { ...inputs, machine: await describeMachine(paths, inputs.name) };
}

/** Changes what can be changed in place: the end of its life, its labels, its protection. */
export async function updateMachine(inputs: MachineInputs, signal: AbortSignal): Promise<MachineOutputs> {
  const paths = machinePaths(inputs.root, inputs.name);
  await withFileLock(paths.lock, signal, async () => {
    const record = await readRecord(paths);
    if (record === undefined) throw new ClonaError('machineFailed', `there is no machine "${inputs.name}"`);
    await writeRecord(paths, {
      ...record,
      expiresAt: expiryOf(record.createdAt, inputs),
      protect: inputs.protect ?? false,
      labels: inputs.labels ?? {},
    });
  });
  return { ...inputs, machine: await describeMachine(paths, inputs.name) };
}

/** Removes it with everything it left. Never a LIVE machine, whatever the state file says. */
export async function deleteMachine({ root, name }: MachineInputs, signal: AbortSignal): Promise<void> {
  const record = await readRecord(machinePaths(root, name)).catch(() => undefined);
  if (record?.role === 'live') {
    throw new ClonaError('machineFailed', `machine "${name}" is production and is not destroyed`);
  }
  // Protection is Pulumi's here: a protected resource never comes this far.
  await destroyLocalMachine({ root, name, force: true }, signal);
}

/**
 * Removes a machine that its own stack no longer knows (the state was lost), or that was made without an engine.
 * One that belongs to somebody else is left alone. Returns whether there was such a machine.
 */
export async function deleteForgottenMachine(
  { root, name }: Pick<MachineInputs, 'root' | 'name'>,
  stack: { project: string; name: string },
  signal: AbortSignal,
): Promise<boolean> {
  const record = await readRecord(machinePaths(root, name));
  if (record === undefined || record.role === 'live' || record.owner === null) return false;
  const ours = [`direct:${name}`, `urn:pulumi:${stack.name}::${stack.project}::`];
  if (!ours.some((owner) => record.owner?.startsWith(owner))) return false;
  await destroyLocalMachine({ root, name, force: !record.protect }, signal);
  return true;
}
