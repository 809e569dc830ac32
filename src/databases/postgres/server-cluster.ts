import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import {
  appendFile,
  chown,
  cp,
  lchown,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { ClonaError } from '../../errors.ts';
import type { PostgresBinaries, RunAs } from './server-binaries.ts';
import { settingLines, type ServerSettings } from './server-settings.ts';

const run = promisify(execFile);

export interface InitOptions {
  binaries: PostgresBinaries;
  /** Must not exist or be empty; its parent must be reachable by `runAs`. */
  dataDir: string;
  /** Required when clona is root. */
  runAs?: RunAs | undefined;
  /** Name of the superuser. Default postgres. */
  user?: string | undefined;
  /** Set for network logins (scram-sha-256); without it only the Unix socket's folder guards the server. */
  password?: string | undefined;
  /** Default C.UTF-8: the same order on every host. */
  locale?: string | undefined;
  /** Appended to postgresql.conf. */
  settings?: ServerSettings | undefined;
  /** Wait for the disk; only tests say false. */
  sync?: boolean | undefined;
  walSegmentSizeMegabytes?: number | undefined;
  signal?: AbortSignal | undefined;
}

/** Makes a cluster with data checksums: local connections trusted (guard the socket's folder), network by password. */
export async function initCluster(options: InitOptions): Promise<void> {
  const { binaries, dataDir, runAs, signal } = options;
  if (process.getuid?.() === 0 && runAs === undefined) {
    throw new ClonaError('databaseFailed', 'PostgreSQL does not run as root', {
      hint: 'name the user it shall run as',
    });
  }
  await prepareDataDir(dataDir, runAs);
  const named = runAs === undefined || (await hasName(runAs));
  // initdb looks its user up in the password file; a number without a name is served by way of another's folder.
  const scratch = await mkdtemp(join(tmpdir(), 'clona-init-'));
  try {
    const actor = named ? runAs : nobody;
    if (actor !== undefined) await chown(scratch, actor.uid, actor.gid);
    const target = named ? dataDir : join(scratch, 'data');
    const passwordFile = join(scratch, 'password');
    if (options.password !== undefined) {
      await writeFile(passwordFile, `${options.password}\n`, { mode: 0o600 });
      if (actor !== undefined) await chown(passwordFile, actor.uid, actor.gid);
    }
    const args = initArguments(options, target, options.password === undefined ? undefined : passwordFile);
    await run(join(binaries.binDir, 'initdb'), args, { ...actor, env: binaries.env, cwd: '/', signal });
    if (!named) await moveInto(target, dataDir, runAs);
    await appendFile(join(dataDir, 'postgresql.conf'), settingLines(options.settings ?? {}));
  } catch (error) {
    signal?.throwIfAborted();
    const said = error instanceof Error && 'stderr' in error ? String(error.stderr).trim() : '';
    throw new ClonaError('databaseFailed', `no cluster could be made in ${dataDir}`, {
      cause: said === '' ? error : new Error(said, { cause: error }),
      hint: said.includes('could not look up effective user')
        ? 'PostgreSQL runs only as a user that has a name here: add this one to /etc/passwd, in a container at its start'
        : undefined,
    });
  } finally {
    await rm(scratch, { recursive: true, force: true });
  }
}

/** The user that exists everywhere and owns nothing: for callers that are root and have no user of their own. */
export const nobody: RunAs = { uid: 65_534, gid: 65_534 };

function initArguments(options: InitOptions, target: string, passwordFile: string | undefined): string[] {
  const size = options.walSegmentSizeMegabytes;
  return [
    `--pgdata=${target}`,
    `--username=${options.user ?? 'postgres'}`,
    '--encoding=UTF8',
    `--locale=${options.locale ?? 'C.UTF-8'}`,
    '--auth-local=trust',
    '--auth-host=scram-sha-256',
    '--data-checksums',
    ...(options.sync === false ? ['--no-sync'] : []),
    ...(size === undefined ? [] : [`--wal-segsize=${size}`]),
    ...(passwordFile === undefined ? [] : [`--pwfile=${passwordFile}`]),
  ];
}

async function prepareDataDir(dataDir: string, runAs: RunAs | undefined): Promise<void> {
  const inside = await readdir(dataDir).catch(() => []);
  if (inside.length > 0) {
    throw new ClonaError('databaseFailed', `${dataDir} is not empty: no cluster is made over what is there`);
  }
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  if (runAs !== undefined && process.getuid?.() === 0) await chown(dataDir, runAs.uid, runAs.gid);
}

async function hasName(runAs: RunAs): Promise<boolean> {
  return run('id', ['-un', String(runAs.uid)]).then(
    () => true,
    () => false,
  );
}

async function moveInto(from: string, dataDir: string, runAs: RunAs | undefined): Promise<void> {
  const fresh = join(dirname(dataDir), `.${randomUUID()}`);
  await cp(from, fresh, { recursive: true, preserveTimestamps: true });
  if (runAs !== undefined) await giveTo(fresh, runAs);
  await rename(fresh, dataDir);
}

/** Makes a user the owner of a whole tree, links themselves and not what they point to. */
export async function giveTo(path: string, owner: RunAs): Promise<void> {
  await lchown(path, owner.uid, owner.gid);
  const found = await stat(path);
  if (!found.isDirectory()) return;
  for (const entry of await readdir(path, { withFileTypes: true })) {
    const inner = join(path, entry.name);
    if (entry.isDirectory()) await giveTo(inner, owner);
    else await lchown(inner, owner.uid, owner.gid);
  }
}
