import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { findUser } from '../instance/accounts.ts';
import { listCode } from '../instance/code-objects.ts';
import { hostTime } from '../instance/instance.ts';
import { findFile, mounted } from '../instance/physical/database.ts';
import type { Session } from '../instance/session.ts';
import { databaseOf } from '../instance/startup.ts';
import { listTables } from '../instance/tables.ts';
import { hashPassword, newGuid, writeDump, type DumpedTable, type DumpHeader } from './dump-file.ts';
import { formatOf, pathOf } from './import.ts';
import { PumpLog } from './log.ts';
import { badDump, badOperation } from './refusal.ts';
import { pumpOf, type PumpJob } from './state.ts';

type Bench = Pick<Session, 'instance' | 'user'>;

/** Exports schemas: tables one by one into the files in turn, the master table into the first one at the end. */
export function runExport({ instance }: Bench, job: PumpJob): string {
  const folder = pathOf(instance, job.directory);
  const paths = job.dumpFiles.map((name) => join(folder, name));
  const there = paths.find((path) => existsSync(path));
  if (there !== undefined && job.parameters.get('REUSE_DUMPFILES') !== 'Y') {
    throw badDump(
      `ORA-31641: unable to create dump file "${there}"`,
      'ORA-27038: created file already exists',
    );
  }
  const absent = job.schemas.find((schema) => findUser(instance, `"${schema}"`) === undefined);
  if (absent !== undefined) throw badOperation(`ORA-39165: Schema ${absent} was not found.`);
  const log = new PumpLog(instance, job, job.logFile === null ? null : join(folder, job.logFile));
  job.state = 'EXECUTING';
  log.add(
    `Starting "${job.owner}"."${job.name}":  ${job.request}`,
    'Processing object type SCHEMA_EXPORT/TABLE/TABLE_DATA',
    'Processing object type SCHEMA_EXPORT/USER',
    'Processing object type SCHEMA_EXPORT/TABLE/TABLE',
  );
  const database = databaseOf(instance);
  const { faults } = pumpOf(instance);
  const files: DumpedTable[][] = paths.map(() => []);
  const tables = listTables(database).filter(({ owner }) => job.schemas.includes(owner));
  for (const [index, { owner, name, file, table }] of tables.entries()) {
    if (faults.dieBefore === name) {
      log.add('ORA-39095: Dump file space has been exhausted: Unable to allocate 8192 bytes');
      job.state = 'NOT RUNNING';
      log.close(job, 'NOT RUNNING');
      return log.write();
    }
    if (faults.failTable?.table === name) {
      log.add(
        `ORA-31693: Table data object "${owner}"."${name}" failed to load/unload and is being skipped due to error:`,
        ...faults.failTable.errors,
      );
      job.errors += 1;
      files[index % files.length]!.push({
        owner,
        name,
        tablespace: findFile(mounted(database), file).tablespace,
        table: { ...table, rows: [] },
      });
      continue;
    }
    files[index % files.length]!.push({
      owner,
      name,
      tablespace: findFile(mounted(database), file).tablespace,
      table,
    });
    log.row('exported', owner, name, table.rows.length);
  }
  writeFiles(instance, job, paths, files);
  log.add(
    `Master table "${job.owner}"."${job.name}" successfully loaded/unloaded`,
    '*'.repeat(78),
    `Dump file set for ${job.owner}.${job.name} is:`,
    ...paths.map((path) => `  ${path}`),
  );
  job.state = 'COMPLETED';
  log.close(job, 'COMPLETED');
  return log.write();
}

function writeFiles(
  instance: Bench['instance'],
  job: PumpJob,
  paths: readonly string[],
  files: readonly DumpedTable[][],
): void {
  const guid = newGuid();
  const { settings } = instance;
  const wanted = job.parameters.get('VERSION');
  const version = wanted ?? `${settings.version[0]}.0.0.0.0`;
  const [major = 19, minor = 0] = version.split('.').map(Number);
  const format =
    wanted === undefined
      ? formatOf(instance)
      : major >= 23
        ? 6
        : major >= 18 || (major === 12 && minor >= 2)
          ? 5
          : major >= 12
            ? 4
            : 3;
  const code = listCode(databaseOf(instance)).filter(({ owner }) => job.schemas.includes(owner));
  for (const [index, path] of paths.entries()) {
    const header: DumpHeader = {
      format,
      guid,
      number: index + 1,
      files: paths.length,
      job: `"${job.owner}"."${job.name}"`,
      platform: 'x86_64/Linux 2.4.xx',
      instance: settings.instanceName,
      characterSet: settings.characterSet,
      version: `${String(major).padStart(2, '0')}.${String(minor).padStart(2, '0')}.00.00.00`,
      createdAt: hostTime(instance, settings.now()),
      encryption: job.encryptionPassword === null ? 'none' : 'password',
      passwordHash: job.encryptionPassword === null ? null : hashPassword(job.encryptionPassword, guid),
    };
    const tables = files[index] ?? [];
    const names = files.flat().map(({ owner, name }) => `${owner}.${name}`);
    writeDump(path, {
      header,
      master: index === 0 ? { tables: names, code, schemas: job.schemas } : null,
      tables,
    });
  }
}
