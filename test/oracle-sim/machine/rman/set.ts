import { parseDate } from '../../sql/formats.ts';
import type { RmanCommand } from './commands.ts';
import { RmanSyntaxError, type RmanCursor } from './lexer.ts';
import { now, rmanControl, RmanError, type RmanSession, type RmanUntil } from './session.ts';

/** SET DBID n; in a block SET UNTIL … and SET NEWNAME FOR …; SET ECHO, SET COMMAND ID. */
export function readSet(cursor: RmanCursor, session: RmanSession): RmanCommand {
  if (cursor.accept('DBID')) return readDbid(cursor, session);
  if (cursor.accept('ECHO')) {
    if (!cursor.accept('ON') && !cursor.accept('OFF')) throw new RmanSyntaxError(cursor.token);
    return { name: 'set', run: () => void session.output.push('echo set on') };
  }
  const { block } = session;
  if (block === null) throw new RmanSyntaxError(cursor.token);
  if (cursor.accept('UNTIL')) {
    const until = readUntil(cursor, session);
    return {
      name: 'set',
      run: () => ((block.until = until()), void session.output.push('executing command: SET until clause')),
    };
  }
  if (cursor.accept('NEWNAME', 'FOR')) return readNewName(cursor, session, block);
  if (cursor.accept('COMMAND', 'ID', 'TO')) {
    cursor.text();
    return { name: 'set', run: () => void session.output.push('executing command: SET COMMAND ID') };
  }
  throw new RmanSyntaxError(cursor.token);
}

function readDbid(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.accept('=');
  const dbid = cursor.number();
  return {
    name: 'set',
    run() {
      const control = session.server.instance.database?.control ?? null;
      if (control !== null && control.dbid !== dbid)
        throw new RmanError(6188, 'cannot use command when connected to a mounted target database');
      session.dbid = dbid;
      session.output.push('executing command: SET DBID');
    },
  };
}

function readNewName(
  cursor: RmanCursor,
  session: RmanSession,
  block: NonNullable<RmanSession['block']>,
): RmanCommand {
  const done = (): void => void session.output.push('executing command: SET NEWNAME');
  if (cursor.accept('DATABASE', 'TO')) {
    const { token } = cursor;
    const format = cursor.text();
    // Without a part that differs by file every file would have the same name.
    if (!/%[fbUNI]/.test(format)) throw new RmanSyntaxError(token);
    return { name: 'set', run: () => ((block.newNameForDatabase = format), done()) };
  }
  const temporary = cursor.accept('TEMPFILE');
  if (!temporary) cursor.expect('DATAFILE');
  const file = Number(cursor.number());
  cursor.expect('TO');
  const name = cursor.text();
  return { name: 'set', run: () => (temporary || block.newNames.set(file, name), done()) };
}

/** UNTIL SCN n | TIME "…" | SEQUENCE n [THREAD m]; what it means is found out when it runs. */
export function readUntil(cursor: RmanCursor, session: RmanSession): () => RmanUntil {
  if (cursor.accept('SCN')) {
    cursor.accept('=');
    const scn = cursor.number();
    return () => checked(session, { kind: 'scn', scn });
  }
  if (cursor.accept('SEQUENCE')) {
    cursor.accept('=');
    const sequence = Number(cursor.number());
    const thread = cursor.accept('THREAD') ? Number(cursor.number()) : 1;
    return () => ({ kind: 'sequence', sequence, thread });
  }
  cursor.expect('TIME');
  cursor.accept('=');
  const text = cursor.text();
  return () => checked(session, { kind: 'time', at: readTime(session, text) });
}

/** A TO_DATE of text with its format, or SYSDATE - n; a bare date is taken by NLS_DATE_FORMAT (DD-MON-RR). */
function readTime(session: RmanSession, text: string): number {
  const offset = session.server.instance.settings.hostOffsetMinutes * 60;
  const call = /^TO_DATE\s*\(\s*'([^']*)'\s*,\s*'([^']*)'\s*\)$/i.exec(text.trim());
  const back = /^SYSDATE\s*-\s*(\d+(?:\.\d+)?)(?:\s*\/\s*(\d+))?$/i.exec(text.trim());
  if (back !== null) return now(session) - (Number(back[1]) / Number(back[2] ?? 1)) * 86_400_000;
  const { seconds } = call === null ? parseDate(text, 'DD-MON-RR') : parseDate(call[1]!, call[2]!);
  return (seconds - offset) * 1000;
}

/** A point before the current incarnation began needs RESET DATABASE first. */
function checked(session: RmanSession, until: RmanUntil): RmanUntil {
  const control = rmanControl(session);
  const { resetlogsScn, resetlogsAt } = control.incarnations.find(
    ({ number }) => number === control.current,
  )!;
  if (until.kind === 'scn' && until.scn < resetlogsScn)
    throw new RmanError(20208, 'UNTIL CHANGE is before RESETLOGS change');
  if (until.kind === 'time' && until.at < resetlogsAt)
    throw new RmanError(20207, 'UNTIL TIME or RECOVERY WINDOW is before RESETLOGS time');
  return until;
}
