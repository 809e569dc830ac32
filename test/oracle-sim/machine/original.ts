import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { isAbsolute, join } from 'node:path';
import { OraError } from '../wire/values.ts';
import type { Server } from '../instance/backend.ts';
import { findUser, holds, type User } from '../instance/accounts.ts';
import { beginTransaction, endTransaction } from '../instance/physical/change.ts';
import { fromText, toText } from '../instance/physical/files.ts';
import { databaseOf } from '../instance/startup.ts';
import { fileFor, findPlace, listTables, pageOf, saveTable } from '../instance/tables.ts';
import type { DumpedTable } from '../pump/dump-file.ts';
import { pumpOf } from '../pump/state.ts';
import { BadArguments, nameOf } from './pump-arguments.ts';
import type { ToolCall, ToolResult } from './tools.ts';

const both = [
  'FILE',
  'LOG',
  'BUFFER',
  'GRANTS',
  'ROWS',
  'INDEXES',
  'CONSTRAINTS',
  'STATISTICS',
  'PARFILE',
  'USERID',
  'FEEDBACK',
];
const own = {
  exp: new Set([...both, 'OWNER', 'DIRECT', 'CONSISTENT', 'COMPRESS', 'TRIGGERS']),
  imp: new Set([...both, 'FROMUSER', 'TOUSER', 'COMMIT', 'IGNORE', 'SHOW', 'DESTROY', 'RESUMABLE']),
} as const;

export const runExp = (call: ToolCall, server: Server): Promise<ToolResult> =>
  Promise.resolve(run('exp', call, server));
export const runImp = (call: ToolCall, server: Server): Promise<ToolResult> =>
  Promise.resolve(run('imp', call, server));

/** Exit 0: all well, 3: with warnings, 1: not at all (Utilities, Exit Codes of Original Export and Import). */
function run(tool: 'exp' | 'imp', call: ToolCall, server: Server): ToolResult {
  const code = tool.toUpperCase();
  const [verb, title] = tool === 'exp' ? ['Export', 'Export'] : ['Import', 'Import'];
  const lines = ['', `${title}: Release ${server.instance.settings.version[0]}.0.0.0.0 - Production`, ''];
  let log: string | undefined;
  const end = (exitCode: number): ToolResult => {
    const text = `${lines.join('\n')}\n`;
    if (log !== undefined) writeFileSync(inFolder(call.cwd, log), text);
    return { stdout: text, exitCode };
  };
  try {
    const { logon, values } = readArguments(tool, call);
    const user = logOn(server, logon, call.stdin);
    log = values.get('LOG')?.[0];
    const warnings =
      tool === 'exp'
        ? exportTables(server, user, values, call.cwd, lines)
        : importTables(server, user, values, call.cwd, lines);
    lines.push(`${verb} terminated successfully ${warnings === 0 ? 'without' : 'with'} warnings.`);
    return end(warnings === 0 ? 0 : 3);
  } catch (error) {
    if (error instanceof BadArguments) lines.push(error.message);
    else if (error instanceof OraError)
      lines.push(`${code}-00056: ORACLE error ${error.code} encountered`, error.message);
    else throw error;
    lines.push(`${code}-00000: ${verb} terminated unsuccessfully`);
    return end(1);
  }
}

function inFolder(cwd: string, path: string): string {
  return isAbsolute(path) ? path : join(cwd, path);
}

function readArguments(
  tool: 'exp' | 'imp',
  { argv, cwd }: ToolCall,
): { logon: string; values: Map<string, string[]> } {
  const values = new Map<string, string[]>();
  let logon = '';
  const take = (line: string): void => {
    const [, name = '', value = ''] = /^(\w+)\s*=\s*(.*)$/s.exec(line) ?? [];
    const key = name.toUpperCase();
    if (!own[tool].has(key))
      throw new BadArguments(`LRM-00101: unknown parameter name '${name.toLowerCase()}'`);
    const inner = value.replace(/^\((.*)\)$/s, '$1');
    values.set(
      key,
      (inner.match(/(?:"[^"]*"|[^,"])+/g) ?? []).map((one) => one.trim()),
    );
    if (key === 'USERID') logon = value;
    if (key !== 'PARFILE') return;
    if (!existsSync(inFolder(cwd, value)))
      throw new BadArguments(`LRM-00109: could not open parameter file '${value}'`);
    for (const one of readFileSync(inFolder(cwd, value), 'utf8').split(/\r?\n/)) {
      if (one.trim() !== '' && !one.trim().startsWith('#')) take(one.trim());
    }
  };
  for (const one of argv) {
    if (/^\w+=/.test(one)) take(one);
    else logon = one;
  }
  return { logon, values };
}

function logOn({ instance }: Server, logon: string, stdin: string): User {
  if (instance.status !== 'OPEN') throw new OraError(1034, 'ORACLE not available');
  const text = logon.replaceAll(/^["']|["']$/g, '');
  if (/^\/\s+as\s+sysdba$/i.test(text)) return { name: 'SYS', password: '', grants: ['SYSDBA'] };
  const [, name = '', typed] = /^([^/@]+)(?:\/([^@]*))?/.exec(text) ?? [];
  const user = findUser(instance, name);
  const password = typed ?? stdin.split('\n')[0]?.trim() ?? '';
  if (user !== undefined && user.password === password) return user;
  throw new OraError(1017, 'invalid username/password; logon denied');
}

type Values = ReadonlyMap<string, string[]>;

/** A header as `strings` shows it, then JSON: no real imp reads it. */
function exportTables(
  { instance }: Server,
  user: User,
  values: Values,
  cwd: string,
  lines: string[],
): number {
  const owners = (values.get('OWNER') ?? [user.name]).map(nameOf);
  const { faults } = pumpOf(instance);
  const dumped: DumpedTable[] = [];
  let warnings = 0;
  lines.push(
    'Export done in AL32UTF8 character set and AL16UTF16 NCHAR character set',
    '',
    'About to export specified users ...',
  );
  for (const owner of owners) {
    if (findUser(instance, `"${owner}"`) === undefined)
      throw new BadArguments(`EXP-00010: ${owner} is not a valid username`);
    lines.push(`. about to export ${owner}'s tables via Conventional Path ...`);
    for (const { name, table } of listTables(databaseOf(instance)).filter((one) => one.owner === owner)) {
      const line = `. . exporting table ${name.padStart(30)}`;
      if (faults.failTable?.table === name) {
        lines.push(line, `EXP-00056: ORACLE error encountered`, ...faults.failTable.errors);
        warnings += 1;
        continue;
      }
      lines.push(`${line} ${String(table.rows.length).padStart(10)} rows exported`);
      dumped.push({ owner, name, tablespace: '', table });
    }
  }
  const header = Buffer.concat([
    Buffer.from([3, 3]),
    Buffer.from(`iEXPORT:V19.00.00\nU${user.name}\nRUSERS\n`),
  ]);
  for (const file of values.get('FILE') ?? ['expdat.dmp']) {
    writeFileSync(
      inFolder(cwd, file),
      Buffer.concat([header, Buffer.from(toText(dumped)), Buffer.from('\nEXIT\n')]),
    );
  }
  return warnings;
}

function readOriginal(path: string): DumpedTable[] {
  if (!existsSync(path)) throw new BadArguments(`IMP-00002: failed to open ${path} for read`);
  const text = readFileSync(path, 'utf8');
  if (!text.slice(0, 64).includes('EXPORT:V'))
    throw new BadArguments('IMP-00010: not a valid export file, header failed verification');
  const start = text.indexOf('\n', text.indexOf('\nR') + 1) + 1;
  if (!text.endsWith('\nEXIT\n')) throw new BadArguments('IMP-00009: abnormal end of export file');
  return fromText(text.slice(start, -'\nEXIT\n'.length)) as DumpedTable[];
}

function importTables(
  { instance }: Server,
  user: User,
  values: Values,
  cwd: string,
  lines: string[],
): number {
  const [from, to] = [(values.get('FROMUSER') ?? []).map(nameOf), (values.get('TOUSER') ?? []).map(nameOf)];
  if (from.length === 0)
    throw new BadArguments('IMP-00031: Must specify FULL=Y or provide FROMUSER/TOUSER or TABLES arguments');
  if (!holds(user, 'IMP_FULL_DATABASE'))
    throw new BadArguments("IMP-00007: must be a DBA to import objects to another user's account");
  const dumped = (values.get('FILE') ?? ['expdat.dmp']).flatMap((file) => readOriginal(inFolder(cwd, file)));
  lines.push(
    'Export file created by EXPORT:V19.00.00 via conventional path',
    'import done in AL32UTF8 character set and AL16UTF16 NCHAR character set',
  );
  const database = databaseOf(instance);
  const transaction = beginTransaction(database);
  let warnings = 0;
  for (const [index, owner] of from.entries()) {
    const target = to[index] ?? owner;
    const account = findUser(instance, `"${target}"`);
    if (account === undefined)
      throw new BadArguments(
        `IMP-00017: following statement failed with ORACLE error 1435\nORA-01435: user does not exist`,
      );
    lines.push(`. importing ${owner}'s objects into ${target}`);
    for (const { name, table } of dumped.filter((one) => one.owner === owner)) {
      if (findPlace(database, account, target, name, 'SELECT', transaction) !== null) {
        lines.push(
          'IMP-00015: following statement failed because the object already exists:',
          ` "CREATE TABLE "${name}" ("`,
        );
        warnings += 1;
        continue;
      }
      const lost =
        pumpOf(instance).faults.loseRows?.table === name ? (pumpOf(instance).faults.loseRows?.rows ?? 0) : 0;
      const constraints = (table.constraints ?? []).map((one) => ({
        ...one,
        references: one.references?.owner === owner ? { ...one.references, owner: target } : one.references,
      }));
      const rows = table.rows.slice(0, table.rows.length - lost);
      saveTable(
        database,
        transaction,
        { file: fileFor(database, account), page: pageOf(target, name) },
        { ...table, rows, constraints },
      );
      lines.push(
        `. . importing table ${`"${name}"`.padStart(30)} ${String(table.rows.length).padStart(10)} rows imported`,
      );
    }
  }
  endTransaction(database, transaction, true);
  return warnings;
}
