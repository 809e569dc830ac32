import { readFile, stat } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import { ClonaError } from '../errors.ts';
import type { Mistake } from './mistakes.ts';
import type { Site } from './site.ts';

const maxBytes = 2 ** 20;

/**
 * Reads, checks and completes a site file. Throws `fileUnreadable` when there is none, and `siteInvalid` with every
 * mistake at once (`details.mistakes`: line, column, key, problem, allowed, hint). Secrets are not read here.
 * zod and yaml are loaded only when a site file is: the verbs that work on a catalog file start without them.
 */
export async function loadSite(path: string): Promise<Site> {
  const file = resolve(path);
  const text = decode(await readSiteFile(file), path);
  const { parseSite } = await import('./parse.ts');
  const folder = dirname(file);
  const parsed = parseSite(text, folder);
  if ('mistakes' in parsed) throw siteInvalid(path, parsed.mistakes);
  return { ...parsed.site, file, folder };
}

async function readSiteFile(file: string): Promise<Buffer> {
  try {
    const found = await stat(file);
    // A pipe has no folder that its paths could be relative to, and waiting for one cannot be interrupted.
    if (!found.isFile()) throw new Error('it is not a file');
    const { size } = found;
    if (size > maxBytes) throw new Error(`it has ${size} bytes, more than the ${maxBytes} of any site file`);
    return await readFile(file);
  } catch (cause) {
    const missing = cause instanceof Error && 'code' in cause && cause.code === 'ENOENT';
    throw new ClonaError(
      'fileUnreadable',
      missing ? `there is no site file ${file}` : `the site file ${file} cannot be read`,
      { cause, hint: missing ? 'write one with: clona init, or name another with --site FILE' : undefined },
    );
  }
}

/** Bytes that are no UTF-8 would become other names of folders and people. */
function decode(bytes: Buffer, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    const before = new TextDecoder().decode(bytes).split('\ufffd')[0] ?? '';
    const lines = before.split('\n');
    const column = (lines.at(-1) ?? '').length + 1;
    throw siteInvalid(path, [{ line: lines.length, column, key: '', problem: 'is not UTF-8' }]);
  }
}

function siteInvalid(file: string, mistakes: readonly Mistake[]): ClonaError {
  const count = mistakes.length === 1 ? 'a mistake' : `${mistakes.length} mistakes`;
  return new ClonaError('siteInvalid', `the site file ${file} has ${count}`, {
    hint: 'docs/how-to/site-file.md explains every key; clona init writes a file with all of them',
    details: { file, mistakes, lines: mistakes.map((mistake) => showMistake(file, mistake)) },
  });
}

/** `clona.yaml:12:3: archive.locaton: unknown key (did you mean "location"?); allowed: location, mirror …` */
export function showMistake(file: string, { line, column, key, problem, hint, allowed }: Mistake): string {
  const subject = key === '' ? '' : `${key}: `;
  const guess = hint === undefined ? '' : ` (${hint})`;
  const choice = allowed === undefined || allowed === '' ? '' : `; allowed: ${allowed}`;
  return `${file}:${line}:${column}: ${subject}${problem}${guess}${choice}`;
}
