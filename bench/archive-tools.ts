import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { DatabaseAddress } from '../src/databases/database.ts';

/** The programs clona is measured against, and how they are called. */

export function has(file: string): boolean {
  return (
    spawnSync(file, ['--version'], { stdio: 'ignore' }).status === 0 ||
    spawnSync(file, ['version'], { stdio: 'ignore' }).status === 0
  );
}

/** Runs a program to its end; throws with what it said. */
export function run(file: string, args: string[]): void {
  const { status, stdout, stderr, error } = spawnSync(file, args, { encoding: 'utf8', maxBuffer: 2 ** 28 });
  if (status === 0) return;
  throw new Error(`${file} ${args.join(' ')}: ${error?.message ?? ''}${stdout}${stderr}`);
}

/** The same for a program whose output nobody wants. */
export function runToNowhere(file: string, args: string[]): void {
  const { status, stderr } = spawnSync(file, args, { stdio: ['ignore', 'ignore', 'pipe'], encoding: 'utf8' });
  if (status !== 0) throw new Error(`${file} ${args.join(' ')}: ${stderr}`);
}

export interface PgBackRest {
  call: (command: string, options?: string[]) => void;
  repository: string;
  spool: string;
}

/** A repository and stanza of its own, with the settings of the comparison: zstd 3, as many processes as clona has threads. */
export function preparePgBackRest(
  folder: string,
  address: DatabaseAddress,
  dataDir: string,
  workers: number,
): PgBackRest {
  const place = (name: string): string => {
    const path = join(folder, 'pgbackrest', name);
    mkdirSync(path, { recursive: true });
    return path;
  };
  const [repository, spool] = [place('repository'), place('spool')];
  const file = join(folder, 'pgbackrest.conf');
  writeFileSync(
    file,
    `[global]
repo1-path=${repository}
spool-path=${spool}
log-path=${place('log')}
lock-path=${place('lock')}
log-level-console=error
log-level-file=off
process-max=${workers}
compress-type=zst
compress-level=3
start-fast=y
archive-async=y
archive-check=n

[bench]
pg1-path=${dataDir}
pg1-socket-path=${address.host}
pg1-port=${address.port}
pg1-user=${address.user}
`,
  );
  return {
    call: (command, options = []) =>
      run('pgbackrest', [`--config=${file}`, '--stanza=bench', ...options, ...command.split(' ')]),
    repository,
    spool,
  };
}
