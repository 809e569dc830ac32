import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { OraError } from '../wire/values.ts';
import { forgetQuiesce } from './quiesce.ts';
import type { Instance } from './instance.ts';
import { requireKey } from './keystore.ts';
import type { Database } from './physical/database.ts';
import { crash, mount, openNormally, shutDown } from './physical/lifecycle.ts';
import { knownParameters } from './parameters.ts';

export function databaseOf({ database }: Instance): Database {
  if (database === null)
    throw new OraError(1034, 'ORACLE not available (this simulated instance has no storage)');
  return database;
}

/** STARTUP [FORCE] [RESTRICT] [NOMOUNT | MOUNT | OPEN] [PFILE=…]. */
export interface StartupOptions {
  force: boolean;
  restricted: boolean;
  until: 'NOMOUNT' | 'MOUNT' | 'OPEN';
  pfile: string | null;
}

export function startUp(instance: Instance, { force, restricted, until, pfile }: StartupOptions): void {
  const database = databaseOf(instance);
  if (instance.started) {
    if (!force) throw new OraError(1081, 'cannot start already-running ORACLE - shut it down first');
    abort(instance);
  }
  database.parameters = new Map(pfile === null ? spfileOf(instance) : readParameterFile(pfile));
  instance.fromSpfile = pfile === null;
  instance.started = true;
  instance.longOperations = [];
  instance.keystoreKeys = null;
  instance.pluggables = new Map();
  instance.restricted = restricted;
  instance.startedAt = instance.settings.now();
  if (until === 'NOMOUNT') return;
  mount(database);
  if (until !== 'OPEN') return;
  requireKey(instance, database.control?.masterKey);
  openNormally(database);
}

function spfileOf(instance: Instance): Map<string, string> {
  const { settings } = instance;
  const path = spfilePath(instance);
  if (path !== null && existsSync(path))
    instance.spfile = new StoredParameters(path, readParameterFile(path));
  if (instance.spfile !== null) return instance.spfile;
  throw new OraError(
    1078,
    `failure in processing system parameters\nLRM-00109: could not open parameter file 'init${settings.instanceName}.ora'`,
  );
}

function spfilePath({ settings: { home, instanceName } }: Instance): string | null {
  return home === undefined ? null : join(home, 'dbs', `spfile${instanceName}.ora`);
}

/** CREATE SPFILE: from now on these are kept; on a disk where the instance has a home. */
export function useSpfile(instance: Instance, parameters: ReadonlyMap<string, string>): void {
  const path = spfilePath(instance);
  instance.spfile = path === null ? new Map(parameters) : new StoredParameters(path, parameters);
}

/** Every change is on the disk when the command that made it is answered. */
class StoredParameters extends Map<string, string> {
  readonly #path: string;

  constructor(path: string, parameters: ReadonlyMap<string, string>) {
    super();
    this.#path = path;
    for (const [name, value] of parameters) super.set(name, value);
    this.#write();
  }

  override set(name: string, value: string): this {
    super.set(name, value);
    this.#write();
    return this;
  }

  override delete(name: string): boolean {
    const found = super.delete(name);
    this.#write();
    return found;
  }

  #write(): void {
    mkdirSync(dirname(this.#path), { recursive: true });
    writeFileSync(
      `${this.#path}.part`,
      Array.from(this, ([name, value]) => `*.${name}='${value}'\n`).join(''),
    );
    renameSync(`${this.#path}.part`, this.#path);
  }
}

/** A text of `*.name='value'` lines; an unknown name stops the start. */
export function readParameterFile(path: string): Map<string, string> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    throw new OraError(
      1078,
      `failure in processing system parameters\nLRM-00109: could not open parameter file '${path}'`,
    );
  }
  const parameters = new Map<string, string>();
  for (const line of text.split('\n').map((one) => one.trim())) {
    if (line === '' || line.startsWith('#')) continue;
    const found = /^(?:\*\.|\w+\.)?(\w+)\s*=\s*(.+)$/.exec(line);
    if (found === null)
      throw new OraError(1078, 'failure in processing system parameters\nLRM-00110: syntax error');
    const name = found[1]!.toLowerCase();
    if (!knownParameters.has(name))
      throw new OraError(
        1078,
        `failure in processing system parameters\nLRM-00101: unknown parameter name '${name}'`,
      );
    parameters.set(name, found[2]!.replaceAll(/^['"]|['"]$/g, ''));
  }
  if (!parameters.has('db_name')) throw new OraError(1506, 'missing or illegal database name');
  return parameters;
}

export function stop(instance: Instance, how: 'NORMAL' | 'TRANSACTIONAL' | 'IMMEDIATE' | 'ABORT'): void {
  if (!instance.started) throw new OraError(1034, 'ORACLE not available');
  if (how === 'ABORT') return abort(instance);
  shutDown(databaseOf(instance));
  instance.started = false;
  instance.endSessions();
}

/** SHUTDOWN ABORT, or the power fails. */
export function abort(instance: Instance): void {
  forgetQuiesce(instance);
  crash(databaseOf(instance));
  instance.started = false;
  instance.endSessions();
}
