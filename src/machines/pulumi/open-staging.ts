import type { Stack } from '@pulumi/pulumi/automation/index.js';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ClonaError } from '../../errors.ts';
import { silent } from '../../progress.ts';
import type { LiveStagingArgs, LocalStagingArgs } from '../../../infra/staging-args.ts';
import type { MachineFacts } from '../machines.ts';
import type { VsphereArgs } from '../../../infra/staging-args.ts';
import { releaseBaseSnapshot } from '../vsphere/base-snapshot.ts';
import { openVim } from '../vsphere/client.ts';
import type { Mark } from '../vsphere/marks.ts';
import { machinePath } from '../vsphere/inventory.ts';
import { restorePortGroup } from '../vsphere/isolated-switch.ts';
import { sourcePath, type PreparedClone } from '../vsphere/prepare-clone.ts';
import { removeUnfinishedClone, type UnfinishedClone } from '../vsphere/unfinished.ts';
import { CreationNote } from './creation-note.ts';
import { requireOwnStack } from './own-stack.ts';
import { readStackMachine, type StackMachine } from './stack-state.ts';
import type { StagingOptions } from './staging-options.ts';
import { openStack, stackFolder, type OpenedStack } from './workspace.ts';

/** Why a program refused, before the engine made a text of it. */
export interface Refusal {
  error?: ClonaError;
}

export interface OpenedStaging {
  stack: Stack;
  /** Whether the engine has to look what has become of the machine: costs time, and some servers answer oddly. */
  refresh: boolean;
  refusal: Refusal;
  /** What the program made; undefined before it ran to its end. */
  made: { machine?: MachineFacts };
  /** After the engine: a linked clone that has become a full one may have been the last on its base. */
  finish: () => Promise<void>;
  /** Runs the engine, and sees to it that a failure leaves no machine that no state knows. */
  guard: <Result>(work: () => Promise<Result>) => Promise<Result>;
}

/** The stack of a staging machine with its program, which is that of `pulumi up`. */
export async function openStaging(
  options: StagingOptions,
  given: LiveStagingArgs,
  mayChange: boolean,
): Promise<OpenedStaging> {
  const { folder, name } = options;
  const refusal: Refusal = {};
  const made: OpenedStaging['made'] = {};
  if (given.platform !== 'vsphere' || given.vsphere === undefined) {
    const local = given.local === undefined ? {} : { local: absolute(folder, given.local) };
    const { stack } = await openStack(
      name,
      program(name, made, async () => ({ ...given, ...local })),
      options,
    );
    spareOutputs(stack);
    const finish = async (): Promise<void> => {};
    return { stack, refresh: true, refusal, made, finish, guard: async (work) => work() };
  }
  const args = { ...given, vsphere: given.vsphere };
  const plan: { args: () => Promise<LiveStagingArgs> } = { args: async () => args };
  const { stack, isOld, readState } = await openStack(
    name,
    program(name, made, async () => plan.args()),
    await withCredentials(options, args),
  );
  spareOutputs(stack);
  const note = new CreationNote(options);
  const known = isOld ? await readKnown(readState, note) : newStack;
  await requireOwnStack(stack, options, args, known, mayChange);
  if (mayChange) await repairPortGroup(options, args, known);
  const finish = async (): Promise<void> => {
    if (known.isLinked && args.vsphere.clone !== 'linked') await releaseBase(options, args);
  };
  const guard: OpenedStaging['guard'] = async (work) => guardCreation(readState, options, args, note, work);
  const prepare = async (): Promise<PreparedClone> => prepareArgs(options, args, known, mayChange);
  if (known.isUnfinished && mayChange) {
    // What a killed engine left is removed by the program: it runs when the stack is locked, so nobody is at work there.
    plan.args = async () => {
      try {
        await removeUnfinishedClone(
          unfinishedOf(options, args),
          options.signal,
          options.onProgress ?? silent,
        );
        return withPrepared(args, await prepare());
      } catch (error) {
        if (error instanceof ClonaError) refusal.error = error;
        throw error;
      }
    };
    return { stack, refresh: true, refusal, made, finish, guard };
  }
  const prepared = await prepare();
  if (hasLostMarks(known, prepared)) prepared.existing?.drift.push('its marks are gone');
  plan.args = async () => withPrepared(args, prepared);
  const { existing } = prepared;
  return {
    stack,
    refresh: existing === undefined || existing.drift.length > 0,
    refusal,
    made,
    finish,
    guard: existing === undefined ? guard : async (work) => work(),
  };
}

/**
 * Somebody deleted the tag or an attribute of the vCenter, and with it what stood on every machine. Made anew they have
 * other ids: an engine that did not look would fail on the old ones, or believe that the machine still expires.
 */
function hasLostMarks({ tags = [], attributeKeys = [] }: StackMachine, prepared: PreparedClone): boolean {
  const { tag, attributes, existing } = prepared;
  const marks = new Map(Object.entries(attributes).map(([mark, key]) => [key, mark as Mark])); // its own keys
  return (
    tags.some((known) => known !== tag) ||
    attributeKeys.some((key) => {
      const mark = marks.get(key);
      return mark === undefined || existing?.marks[mark] === undefined;
    })
  );
}

/** The engine fails on a port group of its stack that somebody removed, whatever it is asked to do. */
async function repairPortGroup(
  { signal, onProgress = silent }: StagingOptions,
  { vsphere }: VsphereArgs,
  { portGroup }: StackMachine,
): Promise<void> {
  if (portGroup === undefined) return;
  await using vim = await openVim(vsphere.address, signal);
  if ((await restorePortGroup(vim, portGroup, signal)) === 'there') return;
  const detail = 'somebody had removed it';
  onProgress({ step: `port group ${portGroup.name}`, state: 'done', detail });
}

const newStack: StackMachine = {
  id: undefined,
  machines: [],
  foreign: [],
  isLinked: false,
  isUnfinished: false,
};

/** The program knows what it made: the engine need not be asked again, twice, in processes of its own. */
function spareOutputs(stack: Stack): void {
  stack.outputs = async () => ({});
}

/** The outputs are those of infra/index.ts. */
function program(
  name: string,
  made: OpenedStaging['made'],
  args: () => Promise<LiveStagingArgs>,
): () => Promise<Record<string, unknown>> {
  return async () => {
    const { LiveStaging } = await import('../../../infra/live-staging.ts');
    const staging = new LiveStaging(name, await args());
    const { machine, sshEndpoint, hostKey, database, createdAt, expiresAt } = staging;
    machine.apply((facts) => {
      made.machine = facts;
    });
    return { machine, sshEndpoint, hostKey, database, createdAt, expiresAt };
  };
}

async function prepareArgs(
  { name, signal, onProgress = silent }: StagingOptions,
  args: VsphereArgs,
  known: StackMachine,
  mayChange: boolean,
): Promise<PreparedClone> {
  const { prepareVsphere } = await import('../../../infra/vsphere.ts');
  const prepared = await prepareVsphere(args.name ?? name, args, mayChange, signal);
  for (const detail of prepared.warnings) onProgress({ step: 'base snapshot', state: 'running', detail });
  const { existing } = prepared;
  if (existing === undefined || existing.uuid === known.id) return prepared;
  const path = machinePath(args.vsphere.places, args.name ?? name);
  throw new ClonaError(
    'machineFailed',
    `there is a machine ${path} already, made from another state of this site`,
    {
      hint: 'laptops and clona serve share machines through one Pulumi backend; else give it another name',
      details: { path, createdAt: existing.marks.created },
    },
  );
}

function withPrepared(args: VsphereArgs, prepared: PreparedClone): LiveStagingArgs {
  return { ...args, vsphere: { ...args.vsphere, prepared } };
}

/** The engine works in a folder of its own; relative ones are the site's. */
function absolute(folder: string, { root, sourceRoot }: LocalStagingArgs): LocalStagingArgs {
  return { root: resolve(folder, root), sourceRoot: resolve(folder, sourceRoot ?? root) };
}

function unfinishedOf(
  { name }: StagingOptions,
  { name: own = name, source, vsphere }: VsphereArgs,
): UnfinishedClone {
  const { address, places } = vsphere;
  return { address, path: machinePath(places, own), sourcePath: sourcePath({ source, places }) };
}

/**
 * The provider takes the password from its environment: so it is in no state, and a changed one counts at once. A
 * site's own authority it takes as every Go program does, from a file.
 */
async function withCredentials(options: StagingOptions, { vsphere }: VsphereArgs): Promise<StagingOptions> {
  const { authority, password } = vsphere.address;
  const environment: Record<string, string> = { ...options.environment, VSPHERE_PASSWORD: password };
  if (authority !== undefined) {
    const path = `${stackFolder(options, options.name)}.authority.pem`;
    await mkdir(dirname(path), { recursive: true, mode: 0o700 });
    await writeFile(path, authority);
    environment['SSL_CERT_FILE'] = path;
  }
  return { ...options, environment };
}

/** Longest time for taking away what a failure left, after which it stays noted for the next run. */
const cleanUpMs = 120_000;

/**
 * A clone that fails on our side may go on in vCenter: the connection was cut, the run interrupted. Nothing was at
 * that place when the run began, so what is there after the failure and in no state is its own.
 */
async function guardCreation<Result>(
  readState: OpenedStack['readState'],
  options: StagingOptions,
  args: VsphereArgs,
  note: CreationNote,
  work: () => Promise<Result>,
): Promise<Result> {
  await note.write(unfinishedOf(options, args).path);
  try {
    const result = await work();
    await note.remove();
    return result;
  } catch (error) {
    // Somebody else is at work on this stack: hands off.
    if (error instanceof ClonaError && error.kind === 'locked') throw error;
    await cleanUp(readState, options, args, note).catch((cause: unknown) => {
      const detail = cause instanceof Error ? cause.message : String(cause);
      options.onProgress?.({ step: 'look for what the failed run left', state: 'failed', detail });
    });
    throw error;
  }
}

async function cleanUp(
  readState: OpenedStack['readState'],
  options: StagingOptions,
  args: VsphereArgs,
  note: CreationNote,
): Promise<void> {
  const { id } = readStackMachine(await readState());
  if (id === undefined) {
    // The run itself may have been aborted.
    const signal = AbortSignal.timeout(cleanUpMs);
    await removeUnfinishedClone(unfinishedOf(options, args), signal, options.onProgress ?? silent);
  }
  await note.remove();
}

async function readKnown(readState: OpenedStack['readState'], note: CreationNote): Promise<StackMachine> {
  const state = readStackMachine(await readState());
  const isUnfinished = state.id === undefined && (state.isUnfinished || (await note.isThere()));
  return { ...state, isUnfinished };
}

export interface OpenedForDestroy {
  stack: Stack;
  /** Its machine was deleted by hand: the engine has to look first, or the provider fails on what is gone. */
  refresh: boolean;
  /** After the destroy: what a killed run left, which no state knows. */
  cleanUp: () => Promise<void>;
}

export async function openForDestroy(
  options: StagingOptions,
  args: LiveStagingArgs | undefined,
): Promise<OpenedForDestroy> {
  const nothing = async (): Promise<void> => {};
  if (args?.vsphere === undefined) {
    const { stack } = await openStack(options.name, nothing, options);
    return { stack, refresh: false, cleanUp: nothing };
  }
  const own = { ...args, vsphere: args.vsphere };
  const { stack, isOld, readState } = await openStack(
    options.name,
    nothing,
    await withCredentials(options, own),
  );
  const note = new CreationNote(options);
  const known = isOld ? await readKnown(readState, note) : newStack;
  const { id, isUnfinished } = known;
  const isThere = await requireOwnStack(stack, options, own, known, true);
  await repairPortGroup(options, own, known);
  return {
    stack,
    refresh: id !== undefined && !isThere,
    cleanUp: async () => {
      if (isUnfinished) {
        await removeUnfinishedClone(unfinishedOf(options, own), options.signal, options.onProgress ?? silent);
        await note.remove();
      }
      if (own.vsphere.clone === 'linked' || known.isLinked) await releaseBase(options, own);
    },
  };
}

/** The last linked clone takes the base snapshot with it. */
async function releaseBase(
  { signal, onProgress = silent }: StagingOptions,
  { source, vsphere }: VsphereArgs,
): Promise<void> {
  const { address, places } = vsphere;
  await using vim = await openVim(address, signal);
  const released = await releaseBaseSnapshot(vim, sourcePath({ source, places }), signal);
  const detail = typeof released === 'object' ? `kept for ${released.keptFor.join(', ')}` : released;
  onProgress({ step: 'base snapshot of linked clones', state: 'done', detail });
}
