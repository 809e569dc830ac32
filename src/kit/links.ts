import { ClonaError } from '../errors.ts';
import type { TreeEntry } from './tree-entry.ts';

const mostLinksOnTheWay = 40;

/**
 * Refuses symbolic links that leave the kit, go round in circles or lead nowhere. The way is walked part by
 * part through every link on it: judged by its text alone, a chain of links that each look harmless can leave.
 * Also refuses a path that is a file (or link) and a folder at once.
 */
export function checkLinks(entries: readonly TreeEntry[]): void {
  const byPath = new Map(entries.map((entry) => [entry.path, entry]));
  const folders = new Set<string>();
  for (const { path } of entries) {
    for (let end = path.indexOf('/'); end !== -1; end = path.indexOf('/', end + 1))
      folders.add(path.slice(0, end));
  }
  for (const entry of entries) {
    if (folders.has(entry.path)) {
      throw new ClonaError(
        'kitInvalid',
        `the kit holds "${entry.path}" both as a folder and as a file or link`,
      );
    }
    if (entry.link !== undefined) walk(entry, byPath, folders);
  }
}

function walk(start: TreeEntry, byPath: Map<string, TreeEntry>, folders: Set<string>): void {
  const refuse = (why: string): ClonaError =>
    new ClonaError('kitInvalid', `the kit's link "${start.path}" ${why}`, {
      hint: 'a link of a kit points, by a relative path, to a file or folder of the same kit',
      details: { path: start.path, target: start.link },
    });
  const at = start.path.split('/').slice(0, -1);
  const ahead = linkParts(start, refuse);
  let followed = 0;
  while (ahead.length > 0) {
    const part = ahead.shift()!;
    if (part === '.' || part === '') continue;
    if (part === '..') {
      if (at.length === 0) throw refuse('leads out of the kit');
      at.pop();
      continue;
    }
    const next = byPath.get([...at, part].join('/'));
    if (next?.link !== undefined) {
      followed += 1;
      if (followed > mostLinksOnTheWay) throw refuse('goes round in a circle');
      ahead.unshift(...linkParts(next, refuse));
      continue;
    }
    at.push(part);
    const isFolder = folders.has(at.join('/'));
    if (next === undefined && !isFolder) throw refuse('leads nowhere');
    if (!isFolder && ahead.length > 0) throw refuse('goes through a file');
  }
}

function linkParts(entry: TreeEntry, refuse: (why: string) => ClonaError): string[] {
  const target = entry.link ?? '';
  if (target === '') throw refuse('is empty');
  if (target.startsWith('/') || /^[A-Za-z]:/.test(target)) throw refuse('is absolute');
  if (target.includes('\\') || target.includes('\0'))
    throw refuse('has a backslash or a zero byte in its target');
  if (target.includes('\uFFFD')) throw refuse('has a target that is not valid UTF-8');
  return target.split('/');
}
