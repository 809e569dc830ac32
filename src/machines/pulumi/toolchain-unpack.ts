import { execFile } from 'node:child_process';
import { access, constants, mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { withFileLock } from '../local/lock.ts';

const execute = promisify(execFile);

/** Lets `unpack DIR` fill a folder beside and moves the programs into `.tools` whole, unless `wanted` is there. Returns why it cannot. */
export async function unpackToolchain(
  given: string,
  tools: string,
  signal: AbortSignal,
  wanted = 'pulumi',
): Promise<string | undefined> {
  const script = join(given, 'unpack');
  if (!(await isExecutable(script))) return `CLONA_TOOLCHAIN has no unpack script: ${script}`;
  const fill = async (folder: string): Promise<void> => {
    await execute(script, [folder], { signal, maxBuffer: 2 ** 22 });
  };
  return fillTools(tools, signal, fill, wanted);
}

/** Two runs at once: one fills `.tools`, the other waits and finds it filled. */
export async function fillTools(
  tools: string,
  signal: AbortSignal,
  fill: (folder: string) => Promise<void>,
  wanted = 'pulumi',
): Promise<undefined> {
  await mkdir(tools, { recursive: true });
  return withFileLock(join(tools, '.lock'), signal, async () => {
    if (await isExecutable(join(tools, wanted))) return undefined;
    const partial = join(tools, '.partial');
    await rm(partial, { recursive: true, force: true });
    await mkdir(partial);
    try {
      await fill(partial);
      // The engine itself goes last: where it is, everything is.
      const names = (await readdir(partial)).filter((name) => name !== 'pulumi');
      for (const name of [...names, 'pulumi']) await rename(join(partial, name), join(tools, name));
    } finally {
      await rm(partial, { recursive: true, force: true });
    }
    return undefined;
  });
}

export async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}
