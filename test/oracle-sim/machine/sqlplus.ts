import type { Server } from '../instance/backend.ts';
import { OraError } from '../wire/values.ts';
import { listCode } from '../instance/code-objects.ts';
import { connect, fail, readScript, type SqlPlus } from './sqlplus-session.ts';
import { splitScript, type ScriptPart } from './sqlplus-script.ts';
import { runSqlPlusCommand } from './sqlplus-commands.ts';
import { openLocalSql } from './local-sql.ts';
import { printRows } from './sqlplus-print.ts';
import type { ToolCall, ToolResult } from './tools.ts';

/** `sqlplus [-S] [-L] / AS SYSDBA | /NOLOG [@script]`: a script, or what is typed. */
export async function runSqlPlus({ tool, argv, cwd, stdin }: ToolCall, server: Server): Promise<ToolResult> {
  if (argv.some((one) => /^-V/i.test(one))) {
    const { version } = server.instance.settings;
    const release =
      version[0] >= 18
        ? `${version[0]}.0.0.0.0 - Production\nVersion ${version.join('.')}.0.0`
        : `${version.join('.')}.0.0 Production`;
    return { stdout: `\nSQL*Plus: Release ${release}\n\n`, exitCode: 0 };
  }
  const options = argv.filter((one) => one.startsWith('-'));
  const script = argv.find((one) => one.startsWith('@'));
  const logon = argv.filter((one) => !options.includes(one) && one !== script).join(' ');
  const plus: SqlPlus = {
    server,
    connected: false,
    session: null,
    output: [],
    echo: false,
    heading: true,
    feedback: true,
    numberWidth: 10,
    csv: null,
    container: null,
    autoRecovery: false,
    logSource: null,
    onError: { exit: null },
    exit: null,
    cwd,
    currentSchema: null,
    isSqlcl: tool === 'sql',
  };
  if (!options.some((one) => /^-S/i.test(one)))
    plus.output.push(
      '',
      `SQL*Plus: Release ${server.instance.settings.version.join('.')}.0.0 - Production`,
      '',
    );
  if (!/^\/nolog$/i.test(logon) && !connect(plus, logon)) return end(plus, 1);
  await runText(plus, script === undefined ? stdin : readScript(plus, script.slice(1)));
  return end(plus, plus.exit ?? 0);
}

function end({ output, session }: SqlPlus, exitCode: number): ToolResult {
  session?.session.commit();
  session?.[Symbol.dispose]();
  return { stdout: output.length === 0 ? '' : `${output.join('\n')}\n`, exitCode: exitCode & 255 };
}

export async function runText(plus: SqlPlus, text: string): Promise<void> {
  for (const part of splitScript(text)) {
    if (plus.exit !== null) return;
    if (plus.echo) plus.output.push(`SQL> ${part.text}`);
    if (part.kind === 'command') await runSqlPlusCommand(plus, part.text, (inner) => runText(plus, inner));
    else await runSql(plus, part);
  }
}

async function runSql(plus: SqlPlus, { text, kind }: ScriptPart): Promise<void> {
  if (!plus.connected) {
    plus.output.push('SP2-0640: Not connected');
    return;
  }
  try {
    // An SPFILE can be made while nothing runs.
    if (plus.server.instance.status === 'DOWN' && !/^\s*create\s+spfile\b/i.test(text))
      throw new OraError(1034, 'ORACLE not available');
    using own = plus.session === null ? openLocalSql(plus.server) : null;
    const local = plus.session ?? own!; // one of the two is there
    const container = /^\s*alter\s+session\s+set\s+container\s*=\s*(.+)$/i.exec(text)?.[1];
    if (container !== undefined) plus.container = container;
    else if (own !== null && plus.container !== null)
      await own.run(`ALTER SESSION SET CONTAINER = ${plus.container}`);
    const schema = /^\s*alter\s+session\s+set\s+current_schema\s*=\s*(.+)$/i.exec(text)?.[1];
    if (schema !== undefined) plus.currentSchema = schema;
    else if (own !== null && plus.currentSchema !== null)
      await own.run(`ALTER SESSION SET CURRENT_SCHEMA = ${plus.currentSchema}`);
    const { columns, outcome, kind: ran } = await local.run(text);
    if (outcome.rows !== null) printRows(plus, columns, outcome.rows);
    else if (plus.feedback)
      plus.output.push(
        '',
        kind === 'block' || ran === 'plsql'
          ? 'PL/SQL procedure successfully completed.'
          : doneText(text, outcome.rowCount),
        '',
      );
    own?.session.commit(); // one session per statement here: what SQL*Plus commits at its end
    if (kind === 'block') warnOfErrors(plus, text);
  } catch (error) {
    fail(plus, error, text);
  }
}

function doneText(sql: string, rows: number): string {
  const [first = '', second = ''] = sql
    .trim()
    .split(/\s+/, 2)
    .map((word) => word.toUpperCase());
  if (['INSERT', 'UPDATE', 'DELETE'].includes(first))
    return `${rows} row${rows === 1 ? '' : 's'} ${first === 'INSERT' ? 'created' : first === 'UPDATE' ? 'updated' : 'deleted'}.`;
  const name = `${second[0] ?? ''}${second.slice(1).toLowerCase()}`;
  const verb = {
    ALTER: 'altered',
    CREATE: 'created',
    DROP: 'dropped',
    GRANT: 'succeeded',
    REVOKE: 'succeeded',
    TRUNCATE: 'truncated',
  }[first];
  if (first === 'GRANT' || first === 'REVOKE') return `${first[0]}${first.slice(1).toLowerCase()} succeeded.`;
  return `${name} ${verb ?? 'done'}.`;
}

/** Code that does not compile is created all the same, and SQL*Plus goes on. */
function warnOfErrors({ server, output }: SqlPlus, sql: string): void {
  const [, kind = '', body = '', name = ''] =
    /^\s*create\s+(?:or\s+replace\s+)?(procedure|function|package|trigger|type)\s+(body\s+)?(?:[\w$#]+\.)?"?([\w$#]+)/i.exec(
      sql,
    ) ?? [];
  if (kind === '' || server.instance.database === null) return;
  const type = `${kind}${body === '' ? '' : ' body'}`.toUpperCase();
  const found = listCode(server.instance.database).find(
    (one) => one.type === type && one.name === name.toUpperCase(),
  );
  if (found?.valid !== false) return;
  const words = type.toLowerCase().replaceAll(/\b\w/g, (letter) => letter.toUpperCase());
  output.splice(-2, 2, `Warning: ${words} created with compilation errors.`, '');
}
