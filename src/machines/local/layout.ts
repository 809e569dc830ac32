import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { ClonaError } from '../../errors.ts';
import { chooseMachinesRoot, shortHash } from './reach.ts';

/**
 * A local machine is a folder:
 *
 *     <root>/<name>/machine.json   what it is; ours alone
 *                   keys/          host key, our key to log in with; ours alone
 *                   system/        system disk: the ERP's program files and VERSION; the machine's
 *                   data/          data disk: pg/ (PGDATA), spool/; the machine's
 *                   run/           ssh.sock, .s.PGSQL.5432; the machine's; may be a link to a shorter path
 *                   snapshots/     copies of both disks; ours alone
 */
export interface MachinePaths {
  folder: string;
  record: string;
  keys: string;
  hostKey: string;
  clientKey: string;
  system: string;
  data: string;
  run: string;
  snapshots: string;
  /** Number and starting time of the SSH server. */
  server: string;
  serverLog: string;
  /** Beside the folder, so that it outlives it. */
  lock: string;
}

/** `.s.PGSQL.5432.lock` is no socket; the socket's own name is the longest that counts. */
const longestSocketName = '/.s.PGSQL.5432';
/** sun_path holds 104 bytes with its NUL on macOS, 108 on Linux (unix(4), unix(7)). */
const longestSocketPath = 103;

export const databasePort = 5432;

const recordSchema = z.strictObject({
  version: z.literal(1),
  name: z.string(),
  role: z.enum(['live', 'staging']),
  isolation: z.enum(['network', 'configuration', 'none']),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  protect: z.boolean(),
  source: z.string().nullable(),
  /** Who made it (a Pulumi stack): only that one may make it anew. */
  owner: z.string().nullable(),
  labels: z.record(z.string(), z.string()),
  user: z.string(),
  /** Null where the host lets us switch to no other user: then everything is our own. */
  uid: z.int().nullable(),
  run: z.string(),
  hostKey: z.string(),
  /** TCP port of the SSH server on loopback; null: it listens on run/ssh.sock. */
  sshPort: z.int().nullable(),
  databaseName: z.string(),
  databaseUser: z.string(),
  /** False until every part is there; what a crash left half made is made anew. */
  complete: z.boolean(),
  /** A revert that has begun: it is finished before anything else happens. */
  reverting: z.string().nullable(),
});

export type MachineRecord = z.infer<typeof recordSchema>;

export function machinePaths(root: string, name: string): MachinePaths {
  requireName(name);
  const folder = join(chooseMachinesRoot(root).root, name);
  const keys = join(folder, 'keys');
  return {
    folder,
    record: join(folder, 'machine.json'),
    keys,
    hostKey: join(keys, 'host'),
    clientKey: join(keys, 'client'),
    system: join(folder, 'system'),
    data: join(folder, 'data'),
    run: join(folder, 'run'),
    snapshots: join(folder, 'snapshots'),
    server: join(folder, 'ssh-server.json'),
    serverLog: join(folder, 'ssh-server.log'),
    lock: join(dirname(folder), `.${name}.lock`),
  };
}

/** Names become folders, Pulumi names and labels. */
export function requireName(name: string): void {
  if (/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) return;
  throw new ClonaError('usage', `"${name}" is no name for a machine`, {
    hint: 'up to 63 lowercase letters, digits and hyphens, beginning and ending with a letter or digit',
  });
}

/** Where the sockets go: run/ in the folder, or a short path of the machine's own where that is too deep. */
export function runFolderOf(paths: MachinePaths): string {
  if (Buffer.byteLength(paths.run + longestSocketName) <= longestSocketPath) return paths.run;
  return join(shortFolder(), `clona-${shortHash(paths.folder)}`);
}

/** /tmp even where TMPDIR is a deep path (macOS): its only purpose is to be short. */
function shortFolder(): string {
  return tmpdir().length <= 40 ? tmpdir() : '/tmp';
}

export async function readRecord(paths: MachinePaths): Promise<MachineRecord | undefined> {
  let text: string;
  try {
    text = await readFile(paths.record, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) {
      return undefined;
    }
    throw new ClonaError('machineFailed', `${paths.record} cannot be read`, { cause: error });
  }
  try {
    return recordSchema.parse(JSON.parse(text));
  } catch (cause) {
    throw new ClonaError('machineFailed', `${paths.record} is damaged`, {
      cause,
      hint: 'destroy the machine and make it anew',
    });
  }
}

/** Throws `machineFailed` where there is no such machine, or only a half-made one. */
export async function requireRecord(paths: MachinePaths, name: string): Promise<MachineRecord> {
  const record = await readRecord(paths);
  if (record?.complete === true) return record;
  throw new ClonaError('machineFailed', `there is no machine "${name}"`, {
    hint: record === undefined ? undefined : 'its making was interrupted: destroy it or make it again',
    details: { folder: paths.folder },
  });
}

export async function writeRecord(paths: MachinePaths, record: MachineRecord): Promise<void> {
  const partial = `${paths.record}.partial`;
  await mkdir(paths.folder, { recursive: true, mode: 0o711 });
  await writeFile(partial, `${JSON.stringify(record, null, 2)}\n`, { mode: 0o600 });
  await rename(partial, paths.record);
}

export async function exists(path: string): Promise<boolean> {
  try {
    await stat(path);
    return true;
  } catch {
    return false;
  }
}
