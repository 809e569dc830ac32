import type { Stack } from '@pulumi/pulumi/automation/index.js';
import { resolve } from 'node:path';
import { ClonaError } from '../../errors.ts';
import { silent } from '../../progress.ts';
import type { LiveStagingArgs, LocalStagingArgs, VsphereArgs } from '../../../infra/staging-args.ts';
import type { MachineFacts } from '../machines.ts';
import type { Mark } from '../vsphere/marks.ts';
import { machinePath } from '../vsphere/inventory.ts';
import type { PreparedClone } from '../vsphere/prepare-clone.ts';
import type { StackMachine } from './stack-state.ts';
import { guardCreation, removeUnfinished } from './guard-creation.ts';
import type { StagingOptions } from './staging-options.ts';
import { openVsphereStack, releaseBase } from './vsphere-stack.ts';
import { openStack } from './workspace.ts';

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
  const own = program(name, made, async () => plan.args());
  const opened = await openVsphereStack(options, args, own, mayChange);
  const { stack, known } = opened;
  spareOutputs(stack);
  const finish = async (): Promise<void> => {
    if (known.isLinked && args.vsphere.clone !== 'linked') await releaseBase(options, args);
  };
  const guard: OpenedStaging['guard'] = async (work) => guardCreation(opened, options, args, work);
  const prepare = async (): Promise<PreparedClone> => prepareArgs(options, args, known, mayChange);
  if (known.isUnfinished && mayChange) {
    // What a killed engine left is removed by the program: it runs when the stack is locked, so nobody is at work there.
    plan.args = async () => {
      try {
        await removeUnfinished(options, args);
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
