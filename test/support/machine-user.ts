import { stat } from 'node:fs/promises';
import type { RunAs } from '../../src/databases/postgres/server-binaries.ts';
import type { TestMachine } from './machine.ts';

/** The user that a test machine's commands run as; undefined: our own. */
export async function uidOf({ facts }: TestMachine): Promise<RunAs | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const { uid, gid } = await stat(facts.dataDisk);
  return { uid, gid };
}
