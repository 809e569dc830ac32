import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';

export interface SmokeFile {
  /** Relative to the folder, with "/". */
  path: string;
  kind: 'vitest' | 'sql';
  department: string;
}

export interface SmokeFiles {
  directory: string;
  files: SmokeFile[];
  checksHash: string;
}

const noDepartment = 'general';
const testPattern = /\.smoke\.[cm]?[jt]s$/;

/**
 * Finds `*.smoke.ts` and `*.sql`. The department is what a comment at the top of the file says
 * (`department: accounting`), else the first folder, else "general". Some file systems take letters apart: they are put
 * together, as the site file's are.
 */
export async function findSmokeFiles(directory: string): Promise<SmokeFiles> {
  const found = await stat(directory).catch(() => undefined);
  if (!found?.isDirectory()) {
    throw new ClonaError('fileUnreadable', `there is no folder of smoke tests at ${directory}`, {
      hint: 'name it in the site file: smoke.directory',
    });
  }
  const hash = createHash('sha256').update('clona-smoke-1\n');
  const files: SmokeFile[] = [];
  for (const path of await listFiles(directory)) {
    const content = await readFile(join(directory, path));
    // Helpers and data that a test reads change what it says: all of the folder counts.
    hash.update(`${Buffer.byteLength(path)} ${path} ${content.length} `).update(content);
    const kind = testPattern.test(path) ? 'vitest' : path.endsWith('.sql') ? 'sql' : undefined;
    if (kind !== undefined)
      files.push({ path, kind, department: departmentOf(path, content.toString('utf8')) });
  }
  if (files.length === 0) {
    throw new ClonaError('fileUnreadable', `there are no smoke tests in ${directory}`, {
      hint: 'a smoke test is a file *.smoke.ts or *.sql (docs/how-to/smoke-tests.md)',
    });
  }
  return { directory, files, checksHash: hash.digest('hex') };
}

async function listFiles(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.replace(/\/+$/, '').length + 1))
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => !/(?:^|\/)(?:node_modules|\.[^/]*)(?:\/|$)/.test(path))
    .sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
}

function departmentOf(path: string, content: string): string {
  const head = content.split('\n', 20).filter((line) => /^\s*(?:\/\/|--|\*|\/\*)/.test(line));
  for (const line of head) {
    const [, name] =
      /\bdepartment:\s*([\p{L}\p{N}][\p{L}\p{M}\p{N} _.&+()/-]*?)\s*(?:\*\/)?\s*$/u.exec(line) ?? [];
    if (name !== undefined) return name.normalize('NFC');
  }
  const [first, ...rest] = path.split('/');
  return rest.length === 0 || first === undefined ? noDepartment : first.normalize('NFC');
}
