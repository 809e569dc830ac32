import { ClonaError } from '../../../src/errors.ts';
import { canRunGuests } from './guest-process.ts';
import { hasOpenssl } from './vcenter-front.ts';
import { findOnPath } from './vcsim.ts';

/** Everything that the story on vSphere needs beside the engine, or one error that names all that is missing. */
export async function requireVsphereTools(
  find: (program: string) => string | undefined = findOnPath,
): Promise<void> {
  const programs = ['pulumi-resource-vsphere', 'vcsim', 'govc'].filter((name) => find(name) === undefined);
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
