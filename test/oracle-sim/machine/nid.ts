import { writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import type { Server } from '../instance/backend.ts';
import { mounted, saveControl } from '../instance/physical/database.ts';
import { readDataFile, writeDataFile } from '../instance/physical/files.ts';
import { abort, databaseOf } from '../instance/startup.ts';
import type { ToolCall, ToolResult } from './tools.ts';

/** DBNEWID: a new DBID and, with DBNAME, a new name; the database must be mounted and clean. */
export async function runNid({ argv, cwd }: ToolCall, { instance }: Server): Promise<ToolResult> {
  const given = new Map(
    argv.map((one) => [one.split('=')[0]!.toUpperCase(), one.slice(one.indexOf('=') + 1)]),
  );
  const known = new Set(['TARGET', 'DBNAME', 'LOGFILE', 'REVERT', 'SETNAME', 'APPEND', 'HELP', 'PDB']);
  const lines = [
    '',
    `DBNEWID: Release ${instance.settings.version.join('.')}.0.0 - Production on Sun Mar 1 10:00:00 2026`,
    '',
  ];
  const strange = [...given.keys()].find((key) => !known.has(key));
  const failure =
    strange === undefined
      ? change(given, instance, lines)
      : `NID-00002: Parse error: LRM-00101: unknown parameter name '${strange.toLowerCase()}'`;
  if (failure !== null)
    lines.push(
      failure,
      '',
      'Change of database name failed during validation - database is intact.',
      'DBNEWID - Completed with validation errors.',
      '',
    );
  const text = `${lines.join('\n')}\n`;
  const log = given.get('LOGFILE');
  if (log !== undefined) writeFileSync(isAbsolute(log) ? log : join(cwd, log), text);
  return Promise.resolve({ stdout: log === undefined ? text : '', exitCode: failure === null ? 0 : 1 });
}

function change(
  given: ReadonlyMap<string, string>,
  instance: Server['instance'],
  lines: string[],
): string | null {
  if (instance.status !== 'MOUNTED') return 'NID-00121: Database should not be open';
  const database = databaseOf(instance);
  const control = mounted(database);
  const unclean = control.files.find(({ name }) => readDataFile(name).header.fuzzy);
  if (unclean !== undefined) return 'NID-00135: There are 1 active threads';
  const name = given.get('DBNAME')?.toUpperCase();
  if (name !== undefined && !/^[A-Z][A-Z0-9_#$]{0,7}$/.test(name))
    return `NID-00138: New database name ${name} is not valid`;
  if (name === control.name)
    return `NID-00144: New name for database ${name} is the same as current name ${control.name}`;
  const dbid = control.dbid + 1_000_003n;
  lines.push(
    `Connected to database ${control.name} (DBID=${control.dbid})`,
    '',
    `Change database ID from ${control.dbid} to ${dbid}`,
  );
  if (name !== undefined) lines.push(`Change database name from ${control.name} to ${name}`);
  for (const known of control.files) {
    const data = readDataFile(known.name);
    writeDataFile(known.name, { ...data, header: { ...data.header, dbid } });
  }
  Object.assign(control, {
    dbid,
    name: name ?? control.name,
    type: 'CURRENT',
    recoveredTo: control.checkpointScn,
    sets: [],
    archived: [],
    copies: [],
  });
  saveControl(database);
  abort(instance);
  lines.push(
    '',
    `Database name changed to ${control.name}.`,
    'Modify parameter file and generate a new password file before restarting.',
    `Database ID for database ${control.name} changed to ${dbid}.`,
    'All previous backups and archived redo logs for this database are unusable.',
    'Database has been shutdown, open database with RESETLOGS option.',
    'Succesfully changed database name and ID.',
    'DBNEWID - Completed succesfully.',
    '',
  );
  return null;
}
