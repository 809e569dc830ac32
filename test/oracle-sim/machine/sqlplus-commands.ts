import { TokenCursor } from '../sql/cursor.ts';
import { OraError } from '../wire/values.ts';
import { hostTime } from '../instance/instance.ts';
import { readRecover, runRecover } from '../instance/recover-command.ts';
import { databaseOf, startUp, stop } from '../instance/startup.ts';
import { mounted } from '../instance/physical/database.ts';
import { connect, fail, readScript, type SqlPlus } from './sqlplus-session.ts';
import { openLocalSql } from './local-sql.ts';

type Run = (plus: SqlPlus, rest: string, runText: (text: string) => Promise<void>) => void | Promise<void>;

const nothing: Run = () => {};

const commands: Record<string, Run> = {
  SET: setOption,
  WHENEVER: whenever,
  CONNECT: (plus, rest) => {
    if (!connect(plus, rest)) plus.exit = plus.onError.exit;
  },
  STARTUP: startup,
  SHUTDOWN: shutdown,
  RECOVER: recover,
  PROMPT: (plus, rest) => void plus.output.push(rest),
  EXIT: leave,
  QUIT: leave,
  START: async (plus, rest, runText) => runText(readScript(plus, rest)),
  EXECUTE: execute,
  ARCHIVE: archiveLogList,
  SPOOL: nothing,
  COLUMN: nothing,
  TTITLE: nothing,
  BTITLE: nothing,
  REMARK: nothing,
  CLEAR: nothing,
  TIMING: nothing,
  DEFINE: nothing,
  UNDEFINE: nothing,
  DISCONNECT: (plus) => {
    plus.session?.session.commit();
    plus.session?.[Symbol.dispose]();
    plus.session = null;
    plus.connected = false;
  },
};

const shortNames: Record<string, string> = {
  CONN: 'CONNECT',
  DISC: 'DISCONNECT',
  PRO: 'PROMPT',
  SPO: 'SPOOL',
  COL: 'COLUMN',
  EXEC: 'EXECUTE',
  REM: 'REMARK',
  DEF: 'DEFINE',
  UNDEF: 'UNDEFINE',
  TTI: 'TTITLE',
  BTI: 'BTITLE',
};

/** A line that is no SQL; what SQL*Plus does not know is SP2-0734. */
export async function runSqlPlusCommand(
  plus: SqlPlus,
  line: string,
  runText: (text: string) => Promise<void>,
): Promise<void> {
  if (line.startsWith('@')) return runText(readScript(plus, line.replace(/^@+/, '').trim()));
  const [, word = '', rest = ''] = /^(\w+)\s*([^]*)$/.exec(line) ?? [];
  const name = shortNames[word.toUpperCase()] ?? word.toUpperCase();
  const run = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (run === undefined) {
    plus.output.push(`SP2-0734: unknown command beginning "${line.slice(0, 10)}..." - rest of line ignored.`);
    return;
  }
  try {
    await run(plus, rest.trim(), runText);
  } catch (error) {
    fail(plus, error, null);
  }
}

/** Options that change what is printed or how recovery asks; all others are taken when they exist. */
const otherOptions = new Set([
  'DEFINE',
  'DEF',
  'PAGESIZE',
  'PAGES',
  'LINESIZE',
  'LINES',
  'TRIMSPOOL',
  'TRIMS',
  'TRIMOUT',
  'TERMOUT',
  'TERM',
  'VERIFY',
  'VER',
  'SERVEROUTPUT',
  'SQLBLANKLINES',
  'TIMING',
  'TIME',
  'LONG',
  'LONGCHUNKSIZE',
  'WRAP',
  'TAB',
  'SQLPROMPT',
  'EXITCOMMIT',
  'ERRORLOGGING',
  'SQLTERMINATOR',
  'COLSEP',
  'NULL',
  'NUMFORMAT',
  'ENCODING',
]);

function setOption(plus: SqlPlus, rest: string): void {
  const words = rest.split(/\s+/);
  while (words.length > 0) {
    const option = words.shift()!.toUpperCase();
    const value = words.shift() ?? '';
    const on = value.toUpperCase() === 'ON';
    if (option === 'ECHO') plus.echo = on;
    else if (option === 'HEADING' || option === 'HEA') plus.heading = on;
    else if (option === 'FEEDBACK' || option === 'FEED')
      plus.feedback = value.toUpperCase() !== 'OFF' && value !== '0';
    else if (option === 'NUMWIDTH' || option === 'NUM') plus.numberWidth = Number(value);
    else if (option === 'AUTORECOVERY') plus.autoRecovery = on;
    else if (option === 'LOGSOURCE') plus.logSource = value.replaceAll("'", '');
    else if (option === 'MARKUP' || option === 'MARK') {
      if (!setMarkup(plus, value, words)) return;
    } else if (option === 'SERVEROUTPUT') words.splice(0, words.length);
    else if (!otherOptions.has(option)) {
      plus.output.push(`SP2-0158: unknown SET option "${option.toLowerCase()}"`);
      return;
    }
    if ((option === 'PAGESIZE' || option === 'PAGES') && value === '0') plus.heading = false;
  }
}

/** SET MARKUP CSV ON | OFF [DELIMITER c] [QUOTE ON | OFF], 12.2 and newer (SQL*Plus User's Guide); HTML is not simulated. */
function setMarkup(plus: SqlPlus, kind: string, words: string[]): boolean {
  const on = words.shift()?.toUpperCase();
  if (kind.toUpperCase() !== 'CSV' || (on !== 'ON' && on !== 'OFF')) {
    plus.output.push('SP2-0281: invalid MARKUP option');
    return false;
  }
  const csv = { delimiter: ',', quotes: true };
  while (/^(?:DELIMITER|QUOTE)$/i.test(words[0] ?? '')) {
    const isQuote = words.shift()?.toUpperCase() === 'QUOTE';
    const value = words.shift() ?? '';
    if (isQuote) csv.quotes = value.toUpperCase() === 'ON';
    else csv.delimiter = value;
  }
  plus.csv = on === 'ON' ? csv : null;
  return true;
}

/** WHENEVER SQLERROR | OSERROR EXIT [n | SQL.SQLCODE | FAILURE] [COMMIT | ROLLBACK] | CONTINUE. */
function whenever(plus: SqlPlus, rest: string): void {
  const [, what = '', action = '', code = ''] =
    /^(SQLERROR|OSERROR)\s+(EXIT|CONTINUE)\s*(\S*)/i.exec(rest) ?? [];
  if (what === '') {
    plus.output.push('SP2-0735: unknown WHENEVER option');
    return;
  }
  if (what.toUpperCase() === 'OSERROR') return;
  if (action.toUpperCase() === 'CONTINUE') plus.onError.exit = null;
  else if (/^SQL\.SQLCODE$/i.test(code)) plus.onError.exit = -1;
  else plus.onError.exit = /^FAILURE$/i.test(code) ? 1 : Number.parseInt(code, 10) || 0;
}

function leave(plus: SqlPlus, rest: string): void {
  plus.exit = /^FAILURE$/i.test(rest) ? 1 : Number.parseInt(rest, 10) || 0;
}

function requireConnection({ connected }: SqlPlus): void {
  if (!connected) throw new OraError(1031, 'insufficient privileges');
}

function startup(plus: SqlPlus, rest: string): void {
  requireConnection(plus);
  const pfile = /PFILE\s*=\s*'?([^'\s]+)'?/i.exec(rest)?.[1] ?? null;
  const words = new Set(
    rest
      .replace(/PFILE\s*=\s*\S+/i, '')
      .toUpperCase()
      .split(/\s+/)
      .filter((word) => word !== ''),
  );
  const known = new Set(['FORCE', 'RESTRICT', 'NOMOUNT', 'MOUNT', 'OPEN', 'QUIET', 'EXCLUSIVE']);
  if ([...words].some((word) => !known.has(word))) {
    plus.output.push('SP2-0714: invalid combination of STARTUP options');
    return;
  }
  const until = words.has('NOMOUNT') ? 'NOMOUNT' : words.has('MOUNT') ? 'MOUNT' : 'OPEN';
  const { instance } = plus.server;
  try {
    startUp(instance, { force: words.has('FORCE'), restricted: words.has('RESTRICT'), until, pfile });
  } finally {
    if (instance.started)
      plus.output.push('ORACLE instance started.', '', 'Total System Global Area 1610612016 bytes');
    if (instance.status === 'MOUNTED' || instance.status === 'OPEN') plus.output.push('Database mounted.');
    if (instance.status === 'OPEN') plus.output.push('Database opened.');
  }
}

function shutdown(plus: SqlPlus, rest: string): void {
  requireConnection(plus);
  const how = rest === '' ? 'NORMAL' : rest.toUpperCase();
  if (how !== 'NORMAL' && how !== 'IMMEDIATE' && how !== 'ABORT' && how !== 'TRANSACTIONAL') {
    plus.output.push('SP2-0717: illegal SHUTDOWN option');
    return;
  }
  const { status } = plus.server.instance;
  stop(plus.server.instance, how);
  if (status === 'OPEN' && how !== 'ABORT') plus.output.push('Database closed.');
  if (status !== 'STARTED' && how !== 'ABORT') plus.output.push('Database dismounted.');
  plus.output.push('ORACLE instance shut down.');
}

/** RECOVER asks for every log, unless AUTORECOVERY is on; nobody is there to answer. */
function recover(plus: SqlPlus, rest: string): void {
  requireConnection(plus);
  const { instance } = plus.server;
  const request = readRecover(new TokenCursor(rest), instance.settings.hostOffsetMinutes);
  const database = databaseOf(instance);
  mounted(database);
  if (!plus.autoRecovery && !/^\s*AUTOMATIC\b/i.test(rest)) {
    plus.output.push('Specify log: {<RET>=suggested | filename | AUTO | CANCEL}');
    throw new OraError(283, 'recovery session canceled due to errors (nobody answers: SET AUTORECOVERY ON)');
  }
  plus.output.push(...runRecover(database, request, plus.logSource, (at) => hostTime(instance, at)));
}

async function execute(plus: SqlPlus, rest: string): Promise<void> {
  requireConnection(plus);
  using own = plus.session === null ? openLocalSql(plus.server) : null;
  await (plus.session ?? own!).run(`BEGIN ${rest.replace(/;$/, '')}; END;`);
  if (plus.feedback) plus.output.push('', 'PL/SQL procedure successfully completed.', '');
}

function archiveLogList(plus: SqlPlus, rest: string): void {
  if (!/^LOG\s+LIST$/i.test(rest)) {
    plus.output.push('SP2-0718: illegal ARCHIVE LOG option');
    return;
  }
  const control = mounted(databaseOf(plus.server.instance));
  const on = control.logMode === 'ARCHIVELOG';
  plus.output.push(
    `Database log mode              ${on ? 'Archive Mode' : 'No Archive Mode'}`,
    `Automatic archival             ${on ? 'Enabled' : 'Disabled'}`,
    `Current log sequence           ${control.groups.find(({ status }) => status === 'CURRENT')?.sequence ?? 0}`,
  );
}
