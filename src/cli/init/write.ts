import { lstat, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface PlannedFile {
  /** Relative to the folder of the site file. */
  path: string;
  content: string | Buffer;
  /** Default: as the umask has it. Programs of an example stay programs: the hash of a kit depends on it. */
  mode?: number;
}

export type WrittenFile = { path: string; state: 'written' | 'kept' };

/**
 * Writes what is not there yet. A file that exists is kept as it is, unless it is in `overwrite`. Each file is
 * written beside its name and renamed, so that an interruption leaves whole files only.
 */
export async function writeFiles(
  folder: string,
  files: readonly PlannedFile[],
  overwrite: ReadonlySet<string>,
  signal: AbortSignal,
): Promise<WrittenFile[]> {
  const written: WrittenFile[] = [];
  for (const { path, content, mode } of files) {
    signal.throwIfAborted();
    const target = join(folder, path);
    if (!overwrite.has(path) && (await exists(target))) {
      written.push({ path, state: 'kept' });
      continue;
    }
    await mkdir(dirname(target), { recursive: true });
    const beside = `${target}.${process.pid}.part`;
    try {
      await writeFile(beside, content, { flag: 'wx', ...(mode === undefined ? {} : { mode }) });
      await rename(beside, target);
    } catch (error) {
      await rm(beside, { force: true });
      throw error;
    }
    written.push({ path, state: 'written' });
  }
  return written;
}

export async function exists(path: string): Promise<boolean> {
  return lstat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' || error.code === 'ENOTDIR') return false;
      throw error;
    },
  );
}

/** The files of examples/NAME that belong beside a site file; its own site file is written from answers. */
export async function readExample(name: string): Promise<PlannedFile[]> {
  // From src/cli/init as well as from dist/src/cli/init, examples/ is three folders up.
  const folder = fileURLToPath(new URL(`../../../examples/${name}/`, import.meta.url));
  if (!(await exists(folder))) return [];
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files: PlannedFile[] = [];
  for (const entry of entries.filter((found) => found.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const inside = relative(folder, path);
    if (/(?:^|\/)(?:node_modules|\.clona)(?:\/|$)/.test(inside) || inside === 'clona.yaml') continue;
    // The published package holds compiled copies beside the sources: people get the sources.
    if (inside.endsWith('.d.ts') || (inside.endsWith('.js') && (await exists(`${path.slice(0, -3)}.ts`))))
      continue;
    const mode = ((await stat(path)).mode & 0o100) === 0 ? {} : { mode: 0o755 };
    files.push({ path: inside, content: await readFile(path), ...mode });
  }
  return files.sort((left, right) => (left.path < right.path ? -1 : 1));
}
