import type { PulumiFn, Stack } from '@pulumi/pulumi/automation/index.js';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { silent } from '../../progress.ts';
import type { VsphereArgs } from '../../../infra/staging-args.ts';
import { releaseBaseSnapshot } from '../vsphere/base-snapshot.ts';
import { openVim } from '../vsphere/client.ts';
import { restorePortGroup } from '../vsphere/isolated-switch.ts';
import { sourcePath } from '../vsphere/prepare-clone.ts';
import { CreationNote } from './creation-note.ts';
import { requireOwnStack } from './own-stack.ts';
import { readStackMachine, type StackMachine } from './stack-state.ts';
import type { StagingOptions } from './staging-options.ts';
import { openStack, stackFolder, type OpenedStack } from './workspace.ts';

export interface OpenedVsphereStack {
  stack: Stack;
  readState: OpenedStack['readState'];
  note: CreationNote;
  /** As the state says. */
  known: StackMachine;
  /** Whether the machine of the state is there. */
  isThere: boolean;
}

/** Opens the stack of a machine on vSphere, and refuses one that holds what clona did not make (R21). */
export async function openVsphereStack(
  options: StagingOptions,
  args: VsphereArgs,
  program: PulumiFn,
  mayChange: boolean,
): Promise<OpenedVsphereStack> {
  const settings = await withCredentials(options, args);
  const { stack, isOld, readState } = await openStack(options.name, program, settings);
  const note = new CreationNote(options);
  const known = isOld ? await readKnown(readState, note) : newStack;
  const isThere = await requireOwnStack(stack, options, args, known, mayChange);
  if (mayChange) await repairPortGroup(options, args, known);
  return { stack, readState, note, known, isThere };
}

const newStack: StackMachine = {
  id: undefined,
  machines: [],
  foreign: [],
  isLinked: false,
  isUnfinished: false,
};

async function readKnown(readState: OpenedStack['readState'], note: CreationNote): Promise<StackMachine> {
  const state = readStackMachine(await readState());
  const isUnfinished = state.id === undefined && (state.isUnfinished || (await note.isThere()));
  return { ...state, isUnfinished };
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

/** The last linked clone takes the base snapshot with it. */
export async function releaseBase(
  { signal, onProgress = silent }: StagingOptions,
  { source, vsphere }: VsphereArgs,
): Promise<void> {
  const { address, places } = vsphere;
  await using vim = await openVim(address, signal);
  const released = await releaseBaseSnapshot(vim, sourcePath({ source, places }), signal);
  const detail = typeof released === 'object' ? `kept for ${released.keptFor.join(', ')}` : released;
  onProgress({ step: 'base snapshot of linked clones', state: 'done', detail });
}
