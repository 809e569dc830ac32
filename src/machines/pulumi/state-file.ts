import type { Deployment } from '@pulumi/pulumi/automation/index.js';
import { access, readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { backendFolder } from './lock-files.ts';

/** Where a stack's state lies: `backend` and `folder` as of `backendFolder`. */
export interface StatePlace {
  backend: string;
  folder: string;
  project: string;
  stack: string;
}

/**
 * The file that holds the state of a stack, or undefined where only the engine finds it: another kind of backend, a
 * compressed or older one, a stack that is not there. The engine writes it beside and renames it, so it is always
 * whole; to look into it saves half a second of the engine's own start, twice.
 */
export async function findStateFile({
  backend,
  folder,
  project,
  stack,
}: StatePlace): Promise<string | undefined> {
  const root = backendFolder(backend, folder, homedir());
  if (root === undefined) return undefined;
  const file = join(root, '.pulumi', 'stacks', project, `${stack}.json`);
  return access(file).then(
    () => file,
    () => undefined,
  );
}

/** What the engine would export (apitype.CheckpointV3 in the file, DeploymentV3 here), secrets encrypted as they are. */
export async function readStateFile(file: string): Promise<Deployment | undefined> {
  const text = await readFile(file, 'utf8').catch(() => undefined);
  if (text === undefined) return undefined;
  const { version, checkpoint } = JSON.parse(text) as {
    version: number;
    checkpoint?: { latest?: Record<string, unknown> };
  };
  // A later form is the engine's to read.
  return version === 3 ? { version, deployment: checkpoint?.latest ?? {} } : undefined;
}
