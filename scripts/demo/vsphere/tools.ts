import { delimiter, join, resolve } from 'node:path';
import { ClonaError } from '../../../src/errors.ts';
import { findToolchain, type Toolchain } from '../../../src/machines/pulumi/toolchain.ts';
import { unpackToolchain } from '../../../src/machines/pulumi/toolchain-unpack.ts';
import type { OnProgress } from '../../../src/progress.ts';
import { canRunGuests } from './guest-process.ts';
import { hasOpenssl } from './vcenter-front.ts';
import { findOnPath } from './vcsim.ts';

/**
 * Engine, provider and simulator: found or unpacked, and on PATH from then on. `folder`: where `.tools` is; `more`: programs of the
 * host that are needed, too. Throws `toolchainMissing`.
 */
export async function findTools(
  folder: string,
  signal: AbortSignal,
  onProgress: OnProgress,
  more: readonly string[] = [],
): Promise<Toolchain> {
  const toolchain = await findToolchain({ folder, signal, onProgress });
  process.env['PATH'] = toolchain.path;
  await findVsphereTools(join(folder, '.tools'), signal, more);
  return toolchain;
}

/** Puts `.tools` on PATH, with what CLONA_TOOLCHAIN unpacks where the simulator is nowhere else; throws as below. */
export async function findVsphereTools(
  tools: string,
  signal: AbortSignal,
  more: readonly string[] = [],
): Promise<void> {
  process.env['PATH'] = [process.env['PATH'] ?? '', tools].join(delimiter);
  const given = process.env['CLONA_TOOLCHAIN'];
  if (given !== undefined && findOnPath('vcsim') === undefined) {
    // An engine that was got elsewhere may be there already, without the others.
    await unpackToolchain(resolve(given), tools, signal, 'vcsim');
  }
  await requireVsphereTools(findOnPath, more);
}

/** Everything that the story on vSphere needs beside the engine, or one error that names all that is missing. */
export async function requireVsphereTools(
  find: (program: string) => string | undefined = findOnPath,
  more: readonly string[] = [],
): Promise<void> {
  const wanted = ['pulumi-resource-vsphere', 'vcsim', 'govc', ...more];
  const programs = wanted.filter((name) => find(name) === undefined);
  const missing = [
    ...programs,
    ...(hasOpenssl() ? [] : ['openssl']),
    ...((await canRunGuests()) ? [] : ['root on Linux (guests need namespaces of their own)']),
  ];
  if (missing.length === 0) return;
  throw new ClonaError(
    'toolchainMissing',
    `the demo on vSphere cannot be played here: ${missing.join(', ')} missing`,
    {
      hint: 'put the programs on PATH or into .tools, or set CLONA_TOOLCHAIN; clona demo plays the same story without a vCenter',
      details: { missing },
    },
  );
}
