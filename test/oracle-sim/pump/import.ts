import { join } from 'node:path';
import { findUser } from '../instance/accounts.ts';
import { saveCode, type CodeObject } from '../instance/code-objects.ts';
import type { Instance } from '../instance/instance.ts';
import { mounted } from '../instance/physical/database.ts';
import type { Session } from '../instance/session.ts';
import { databaseOf } from '../instance/startup.ts';
import { findPlace, pageOf, saveTable } from '../instance/tables.ts';
import { convertRows } from './characters.ts';
import { hashPassword, readDump, type DumpContent, type DumpedTable } from './dump-file.ts';
import { PumpLog } from './log.ts';
import { badDump, badOperation } from './refusal.ts';
import { pumpOf, type PumpJob } from './state.ts';

type Bench = Pick<Session, 'instance' | 'user' | 'transaction' | 'commit'>;

/** Reads a file when it is added to a job: ORA-39001 with its reasons when it will not do. */
export function openDumpFile(instance: Instance, directory: string, name: string): DumpContent {
  const read = readDump(join(pathOf(instance, directory), name));
  if (read.kind === 'bad') throw badDump(...read.errors);
  if (read.kind === 'original') {
    throw badDump(`ORA-39143: dump file "${name}" may be an original export dump file`);
  }
  const { format } = read.content.header;
  if (format > formatOf(instance)) {
    throw badDump(`ORA-39142: incompatible version number ${format}.1 in dump file "${name}"`);
  }
  return read.content;
}

export function pathOf(instance: Instance, directory: string): string {
  const path = pumpOf(instance).directories.get(directory);
  if (path === undefined) {
    throw badOperation(
      'ORA-39070: Unable to open the log file.',
      `ORA-39087: directory name ${directory} is invalid`,
    );
  }
  return path;
}

/** The newest format this server reads. */
export function formatOf({ settings }: Instance): number {
  const [major] = settings.version;
  return major >= 23 ? 6 : major >= 18 ? 5 : major >= 12 ? 4 : 3;
}

/** All files of the set, the key, the schemas: refused by ORA-39002 before anything is done. */
export function checkSet(instance: Instance, job: PumpJob): DumpContent[] {
  const contents = job.dumpFiles.map((name) => openDumpFile(instance, job.directory, name));
  const [first] = contents;
  if (first === undefined)
    throw badOperation('ORA-39144: file name parameter must be specified and non-null');
  const foreign = contents.findIndex(({ header }) => header.guid !== first.header.guid);
  if (foreign !== -1)
    throw badOperation(`ORA-39140: dump file "${job.dumpFiles[foreign]}" does not belong to job ${job.name}`);
  const { header } = first;
  if (header.encryption === 'password') {
    if (job.encryptionPassword === null)
      throw badOperation('ORA-39174: Encryption password must be supplied.');
    if (hashPassword(job.encryptionPassword, header.guid) !== header.passwordHash) {
      throw badOperation('ORA-39176: Encryption password is incorrect.');
    }
  }
  const master = contents.find((content) => content.master !== null)?.master ?? null;
  if (contents.length < header.files || master === null) {
    const lost = master === null ? ['ORA-39246: cannot locate master table within provided dump files'] : [];
    throw badOperation('ORA-39059: dump file set is incomplete', ...lost);
  }
  const absent = job.schemas.find((schema) => !master.schemas.includes(schema));
  if (absent !== undefined) throw badOperation(`ORA-39165: Schema ${absent} was not found.`);
  return contents;
}

/** Runs the whole import at once; the log says what happened. */
export function runImport(session: Bench, job: PumpJob): string {
  const { instance } = session;
  const contents = checkSet(instance, job);
  const { faults } = pumpOf(instance);
  const path = job.logFile === null ? null : join(pathOf(instance, job.directory), job.logFile);
  const log = new PumpLog(instance, job, path);
  job.state = 'EXECUTING';
  log.add(
    `Master table "${job.owner}"."${job.name}" successfully loaded/unloaded`,
    `Starting "${job.owner}"."${job.name}":  ${job.request}`,
    'Processing object type SCHEMA_EXPORT/PRE_SCHEMA/PROCACT_SCHEMA',
  );
  if (!job.excluded.includes('USER')) importUsers(job, log);
  log.add(
    'Processing object type SCHEMA_EXPORT/TABLE/TABLE',
    'Processing object type SCHEMA_EXPORT/TABLE/TABLE_DATA',
  );
  for (const dumped of contents.flatMap(({ tables }) => tables)) {
    if (!job.schemas.includes(dumped.owner)) continue;
    if (faults.dieBefore === dumped.name) {
      log.add(
        `ORA-39126: Worker unexpected fatal error in KUPW$WORKER.LOAD_DATA [TABLE_DATA:"${dumped.owner}"."${dumped.name}"]`,
      );
      job.state = 'NOT RUNNING';
      log.close(job, 'NOT RUNNING');
      session.commit();
      return log.write();
    }
    importTable(session, job, dumped, log);
  }
  log.add('Processing object type SCHEMA_EXPORT/TABLE/CONSTRAINT/CONSTRAINT');
  importCode(session, job, contents, log);
  session.commit();
  if (faults.hang !== true) {
    job.state = 'COMPLETED';
    log.close(job, 'COMPLETED');
  }
  return log.write();
}

function importUsers(job: PumpJob, log: PumpLog): void {
  log.add('Processing object type SCHEMA_EXPORT/USER');
  for (const schema of job.schemas) {
    log.add(`ORA-31684: Object type USER:"${targetOf(job, schema)}" already exists`);
    job.errors += 1;
  }
}

function targetOf(job: PumpJob, owner: string): string {
  return job.remapSchema.get(owner) ?? owner;
}

function importTable(session: Bench, job: PumpJob, dumped: DumpedTable, log: PumpLog): void {
  const { instance } = session;
  const database = databaseOf(instance);
  const owner = targetOf(job, dumped.owner);
  const { name } = dumped;
  const { faults } = pumpOf(instance);
  const tablespace = job.remapTablespace.get(dumped.tablespace) ?? dumped.tablespace;
  const failObject = (...why: string[]): void => {
    log.add(
      `ORA-39083: Object type TABLE:"${owner}"."${name}" failed to create with error:`,
      ...why,
      'Failing sql is:',
      `CREATE TABLE "${owner}"."${name}" ...`,
    );
    job.errors += 1;
  };
  const user = findUser(instance, `"${owner}"`);
  if (user === undefined) return failObject(`ORA-01918: user '${owner}' does not exist`);
  const file = mounted(database).files.find((one) => one.tablespace === tablespace)?.file;
  if (file === undefined) return failObject(`ORA-00959: tablespace '${tablespace}' does not exist`);
  const quota = user.quotas?.[tablespace] ?? 0;
  if (quota === 0) return failObject(`ORA-01950: no privileges on tablespace '${tablespace}'`);
  if (quota > 0 && dumped.table.rows.length * 100 > quota) {
    return failObject(`ORA-01536: space quota exceeded for tablespace '${tablespace}'`);
  }
  if (findPlace(database, user, owner, name, 'SELECT', session.transaction()) !== null) {
    log.add(
      `ORA-39151: Table "${owner}"."${name}" exists. All dependent metadata and data will be skipped due to table_exists_action of skip`,
    );
    job.errors += 1;
    return;
  }
  const place = { file, page: pageOf(owner, name) };
  const constraints = (dumped.table.constraints ?? []).map((one) => ({
    ...one,
    ...(faults.breakConstraints === true ? { enabled: false, validated: false } : {}),
    references:
      one.references === null ? null : { ...one.references, owner: targetOf(job, one.references.owner) },
  }));
  if (faults.failTable?.table === name) {
    saveTable(database, session.transaction(), place, { ...dumped.table, rows: [], constraints });
    log.add(
      `ORA-31693: Table data object "${owner}"."${name}" failed to load/unload and is being skipped due to error:`,
      ...faults.failTable.errors,
    );
    job.errors += 1;
    return;
  }
  const converted = convertRows(owner, name, dumped.table, instance.settings.characterSet);
  log.add(...converted.errors);
  const lost = faults.loseRows?.table === name ? faults.loseRows.rows : 0;
  const rows = converted.rows.slice(0, converted.rows.length - lost);
  saveTable(database, session.transaction(), place, { ...dumped.table, rows, constraints });
  log.row('imported', owner, name, converted.rows.length, dumped.table.rows.length);
}

/** REMAP_SCHEMA changes owners; the bodies keep what they say. */
function importCode(session: Bench, job: PumpJob, contents: readonly DumpContent[], log: PumpLog): void {
  const types = new Set<string>();
  for (const object of contents.flatMap(({ master }) => master?.code ?? [])) {
    if (!job.schemas.includes(object.owner)) continue;
    if (!types.has(object.type))
      log.add(
        `Processing object type SCHEMA_EXPORT/${object.type.replaceAll(' ', '_')}/${object.type.replaceAll(' ', '_')}`,
      );
    types.add(object.type);
    const owner = targetOf(job, object.owner);
    saveCode(session, remapped(object, owner));
    if (object.valid) continue;
    log.add(
      `ORA-39082: Object type ${object.type}:"${owner}"."${object.name}" created with compilation warnings`,
    );
    job.errors += 1;
  }
}

function remapped(object: CodeObject, owner: string): CodeObject {
  const moved = (one: string): string =>
    one.startsWith(`${object.owner}.`) ? `${owner}${one.slice(object.owner.length)}` : one;
  // A trigger goes to the table of its new owner only when the text did not name the table's owner.
  const named = object.references.some((one) => one === `${object.table?.owner}.${object.table?.name}`);
  return {
    ...object,
    owner,
    references: object.type === 'SYNONYM' ? object.references.map(moved) : object.references,
    table: object.table === null || named ? object.table : { ...object.table, owner },
  };
}
