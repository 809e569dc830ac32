import type { EngineEvent, OpMap, Stack } from '@pulumi/pulumi/automation/index.js';
import { rm } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { ClonaError } from '../../errors.ts';
import { silent, withProgress, type OnProgress } from '../../progress.ts';
import type { LiveStagingArgs } from '../../../infra/staging-args.ts';
import type { MachineFacts } from '../machines.ts';
import { backendFolder, readLockFiles } from './lock-files.ts';
import { isDeadLock, isLockedText, lockedError, readLocks } from './locks.ts';
import { openForDestroy } from './open-for-destroy.ts';
import { openStaging, type Refusal } from './open-staging.ts';
import { policyOptions, policyRefusal } from './policies.ts';
import { isSecret, readStackOutputs } from './stack-state.ts';
import { openStack } from './workspace.ts';
import type { StagingOptions } from './staging-options.ts';

/** How long a run that continues waits for the engine of the run before it. */
const patienceMs = 60_000;

export interface StagingResult {
  machine: MachineFacts;
  engine: 'pulumi' | 'direct';
  /** How many resources were created, updated, kept …, as Pulumi counts them. */
  changes: Readonly<OpMap>;
}

/**
 * Makes or updates a staging machine through the Pulumi engine: the same program and stack as `pulumi up`. What
 * was deleted by hand is made again. Throws `toolchainMissing`, `locked`, or `pulumiFailed` with the first error.
 */
export async function createStaging(options: StagingOptions, args: LiveStagingArgs): Promise<StagingResult> {
  const { onProgress = silent, signal } = options;
  return withProgress(onProgress, `staging machine ${options.name}`, async () => {
    const { stack, refresh, refusal, made, guard, finish } = await openStaging(options, args, true);
    const changes = await guard(async () =>
      unlocked(stack, options, refusal, async (told) => {
        const policies = await policyOptions(options);
        await stack.up({ refresh, color: 'never', signal, onEvent: told.onEvent, ...policies });
        return told.changes;
      }),
    );
    await finish();
    if (made.machine === undefined) throw new ClonaError('pulumiFailed', 'the program made no machine');
    return { machine: made.machine, engine: 'pulumi', changes };
  });
}

/** What `createStaging` would do, without doing it. */
export async function previewStaging(
  options: StagingOptions,
  args: LiveStagingArgs,
): Promise<Readonly<OpMap>> {
  const { stack, refusal } = await openStaging(options, args, false);
  const { changeSummary } = await unlocked(stack, options, refusal, async (told) =>
    stack.preview({
      color: 'never',
      signal: options.signal,
      onEvent: told.onEvent,
      ...(await policyOptions(options)),
    }),
  );
  return changeSummary;
}

/**
 * Destroys a staging machine and its stack. Gone already: nothing happens. A protected one is refused. On vSphere
 * `args` say where it was, so that what a killed run left of it goes, too.
 */
export async function destroyStaging(options: StagingOptions, args?: LiveStagingArgs): Promise<void> {
  const { onProgress = silent, signal } = options;
  await withProgress(onProgress, `destroy staging machine ${options.name}`, async () => {
    const { stack, refresh, cleanUp } = await openForDestroy(options, args);
    await unlocked(stack, options, {}, async (told) =>
      stack.destroy({ refresh, color: 'never', signal, onEvent: told.onEvent }),
    );
    await cleanUp();
    await stack.workspace.removeStack(options.name);
  });
}

/** Whether `destroyStaging` was refused because the machine is protected: nothing of it was changed. */
export function isProtectedError(error: unknown): boolean {
  return error instanceof ClonaError && error.details?.['isProtected'] === true;
}

/**
 * Clears whatever lock is on a machine's stack, whoever holds it, and says whose it was. Only for `--break-lock`: two
 * engines at work on one stack lose each other's machines.
 */
export async function breakStackLock(options: StagingOptions): Promise<void> {
  const { name, folder, stateFolder, onProgress = silent } = options;
  const backend = options.backend ?? `file://${resolve(stateFolder ?? join(folder, '.clona'), 'pulumi')}`;
  const place = backendFolder(backend, folder, homedir());
  const locks = (place === undefined ? [] : await readLockFiles(place)).filter(({ stack }) => stack === name);
  try {
    const { stack } = await openStack(name, async () => {}, options);
    await stack.cancel();
  } catch (error) {
    // Of a stack that is not there the engine clears nothing.
    if (!(error instanceof ClonaError && error.kind === 'locked' && locks.length > 0)) throw error;
    for (const { file } of locks) await rm(file, { force: true });
  }
  const whose = locks.map(
    ({ pid, user, host, since }) => `process ${pid} of ${user} on ${host}, since ${since}`,
  );
  const detail = whose.length === 0 ? 'none was known here' : whose.join('; ');
  onProgress({ step: `clear the lock on ${name}`, state: 'done', detail });
}

/** What the stack says of its machine, or undefined where there is no such stack or machine. */
export async function readStaging(options: StagingOptions): Promise<MachineFacts | undefined> {
  const { stack, readState } = await openStack(options.name, async () => {}, options);
  const { machine } = readStackOutputs(await readState());
  // Whoever runs the program with secret settings has a secret there, which only the engine reads.
  const value = isSecret(machine) ? (await stack.outputs())['machine']?.value : machine;
  return value === undefined ? undefined : asMachine(value);
}

interface Told {
  onEvent: (event: EngineEvent) => void;
  errors: string[];
  /** What mandatory policies refuse. */
  refused: string[];
  /** How many resources were created, updated, kept …; the engine's last word. */
  changes: OpMap;
}

async function unlocked<Result>(
  stack: Stack,
  { signal, onProgress = silent, breakLock = 'never', name }: StagingOptions,
  refusal: Refusal,
  work: (told: Told) => Promise<Result>,
): Promise<Result> {
  const deadline = Date.now() + patienceMs;
  for (let broken = false; ;) {
    signal.throwIfAborted();
    const told: Told = {
      errors: [],
      refused: [],
      changes: {},
      onEvent: (event) => tell(event, told, onProgress),
    };
    try {
      return await work(told);
    } catch (error) {
      signal.throwIfAborted();
      if (refusal.error !== undefined) throw refusal.error;
      const text = error instanceof Error ? error.message : String(error);
      if (!isLockedText(text)) throw engineError(name, told, error);
      const locks = readLocks(text);
      const dead = locks.length > 0 && locks.every(isDeadLock);
      if (breakLock === 'dead' && !dead && Date.now() < deadline) {
        await wait(500, undefined, { signal });
        continue;
      }
      if (broken || !(breakLock === 'always' || (breakLock === 'dead' && dead))) {
        throw lockedError(name, locks, error);
      }
      onProgress({ step: 'clear the lock', state: 'done', detail: locks.map(({ file }) => file).join(', ') });
      await stack.cancel();
      broken = true;
    }
  }
}

/** Resources become steps of the progress; error messages are kept for whoever throws. */
function tell(event: EngineEvent, told: Told, onProgress: OnProgress): void {
  const { resourcePreEvent, resOutputsEvent, diagnosticEvent, summaryEvent } = event;
  if (summaryEvent !== undefined) told.changes = summaryEvent.resourceChanges;
  const metadata = resourcePreEvent?.metadata ?? resOutputsEvent?.metadata;
  if (metadata !== undefined && metadata.op !== 'same' && !metadata.type.startsWith('pulumi:')) {
    const step = `${metadata.op} ${metadata.type} ${metadata.urn.split('::').at(-1) ?? ''}`;
    onProgress({ step, state: resourcePreEvent === undefined ? 'done' : 'started' });
  }
  const refused = policyRefusal(event);
  if (refused !== undefined) told.refused.push(refused);
  if (diagnosticEvent?.severity === 'error') told.errors.push(diagnosticEvent.message.trim());
}

function engineError(name: string, { errors, refused }: Told, cause: unknown): ClonaError {
  const [first] = refused;
  if (first !== undefined) {
    return new ClonaError('policyRefused', `a policy refuses the staging machine "${name}": ${first}`, {
      cause,
      hint: 'nothing that the policy refuses was changed; the policies are those of infra/policy',
      details: { refused },
    });
  }
  const all = cause instanceof Error ? cause.message : String(cause);
  const said = errors.find((text) => text !== 'update failed' && text !== 'preview failed');
  const text = said ?? /^\s*error: (.*)$/m.exec(all)?.[1] ?? all;
  // Providers of Terraform's kind count their errors first, and put a star before each.
  const lines = text.split('\n').map((part) => part.trim().replace(/^\* /, ''));
  const line =
    lines.find((part) => part !== '' && !/^\d+ errors? occurred:$/.test(part)) ?? 'no reason given';
  const isProtected = /is protected|delete protected/i.test(errors.join('\n') + all);
  return new ClonaError('pulumiFailed', `Pulumi failed on the staging machine "${name}": ${line}`, {
    cause,
    hint: isProtected ? 'the machine is protected: take the protection away first' : undefined,
    details: { errors, isProtected },
  });
}

function asMachine(value: unknown): MachineFacts {
  if (typeof value !== 'object' || value === null) {
    throw new ClonaError('pulumiFailed', 'the stack has no output "machine"');
  }
  return value as MachineFacts; // written by our own program
}
