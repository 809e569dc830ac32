import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { StackLock } from './locks.ts';

export interface LockedStack extends StackLock {
  stack: string;
}

/**
 * The folder behind a backend of the kind `file://`, undefined for every other kind. As Pulumi reads it, what comes
 * after the two slashes may be relative, to `folder`, or begin with `~`.
 */
export function backendFolder(backend: string, folder: string, home: string): string | undefined {
  const [address = ''] = backend.split('?');
  if (!address.startsWith('file://')) return undefined;
  const path = address.slice('file://'.length);
  if (path.startsWith('/')) return fileURLToPath(address);
  return path.startsWith('~') ? join(home, path.slice(1)) : resolve(folder, path);
}

/** Who holds which stack of a backend that is a folder; a lock that goes meanwhile is none. */
export async function readLockFiles(backend: string): Promise<LockedStack[]> {
  const folder = join(backend, '.pulumi', 'locks');
  const names = await readdir(folder, { recursive: true }).catch(() => []);
  const locks = await Promise.all(
    names.filter((name) => name.endsWith('.json')).map(async (name) => readLock(folder, name)),
  );
  return locks.filter((lock) => lock !== undefined);
}

async function readLock(folder: string, name: string): Promise<LockedStack | undefined> {
  try {
    const lock = JSON.parse(await readFile(join(folder, name), 'utf8')) as Record<string, unknown>;
    return {
      // organization/project/stack/id.json
      stack: name.split(/[/\\]/).at(-2) ?? name,
      pid: Number(lock['pid']),
      user: String(lock['username']),
      host: String(lock['hostname']),
      since: String(lock['timestamp']),
      file: join(folder, name),
    };
  } catch {
    return undefined;
  }
}
