import { delimiter, join, resolve } from 'node:path';
import { findOnPath } from '../../scripts/demo/vsphere/vcsim.ts';
import { unpackToolchain } from '../../src/machines/pulumi/toolchain-unpack.ts';
import { repository } from './toolchain.ts';

/** Runs once, before the workers start, which inherit the environment. */
export async function setup(): Promise<void> {
  // Compiling, and stripping types, again in each of some thousand processes would take minutes.
  process.env['NODE_COMPILE_CACHE'] ??= join(repository, 'node_modules', '.cache', 'node-compile');
  await unpackOnce();
}

/** The toolchain that was given is unpacked once for all, and not by each file that needs a simulator. */
async function unpackOnce(): Promise<void> {
  const given = process.env['CLONA_TOOLCHAIN'];
  if (given === undefined || findOnPath('vcsim') !== undefined) return;
  const tools = join(repository, '.tools');
  await unpackToolchain(resolve(given), tools, AbortSignal.timeout(300_000));
  process.env['PATH'] = [process.env['PATH'] ?? '', tools].join(delimiter);
}
