import type { RmanCommand } from './commands.ts';
import { RmanSyntaxError, type RmanCursor } from './lexer.ts';
import { rmanControl, rmanTime, type RmanSession } from './session.ts';

/** LIST INCARNATION [OF DATABASE] | BACKUP SUMMARY | ARCHIVELOG ALL. */
export function readList(cursor: RmanCursor, session: RmanSession): RmanCommand {
  if (cursor.accept('INCARNATION')) {
    if (cursor.accept('OF')) cursor.expect('DATABASE');
    return { name: 'list', run: () => listIncarnations(session) };
  }
  if (cursor.accept('BACKUP')) {
    cursor.accept('SUMMARY');
    return { name: 'list', run: () => listBackups(session) };
  }
  if (cursor.accept('ARCHIVELOG', 'ALL')) return { name: 'list', run: () => listLogs(session) };
  throw new RmanSyntaxError(cursor.token);
}

function listIncarnations(session: RmanSession): void {
  const { incarnations, name, dbid } = rmanControl(session);
  session.output.push(
    '',
    'List of Database Incarnations',
    'DB Key  Inc Key DB Name  DB ID            STATUS  Reset SCN  Reset Time',
    '------- ------- -------- ---------------- --- ---------- ----------',
  );
  for (const { number, status, resetlogsScn, resetlogsAt } of incarnations) {
    session.output.push(
      `${String(number).padEnd(7)} ${String(number).padEnd(7)} ${name.padEnd(8)} ${String(dbid).padEnd(16)} ${status.padEnd(7)} ${String(resetlogsScn).padEnd(10)} ${rmanTime(session, resetlogsAt).slice(0, 10)}`,
    );
  }
}

function listBackups(session: RmanSession): void {
  const { sets } = rmanControl(session);
  session.output.push(
    '',
    'List of Backups',
    '===============',
    'Key     TY LV S Device Type Completion Time #Pieces #Copies Compressed Tag',
    '------- -- -- - ----------- --------------- ------- ------- ---------- ---',
  );
  for (const { recid, type, level, status, completedAt, tag } of sets) {
    const kind = type === 'L' ? 'A' : (level ?? 'F');
    session.output.push(
      `${String(recid).padEnd(7)} B  ${kind}  ${status} DISK        ${rmanTime(session, completedAt).slice(0, 10)}      1       1       NO         ${tag}`,
    );
  }
}

function listLogs(session: RmanSession): void {
  const { archived, name } = rmanControl(session);
  session.output.push(
    `List of Archived Log Copies for database with db_unique_name ${name}`,
    'Key     Thrd Seq     S Low Time ',
    '------- ---- ------- - ---------',
  );
  for (const { recid, thread, sequence, status, firstAt, name: path } of archived) {
    session.output.push(
      `${String(recid).padEnd(7)} ${thread}    ${String(sequence).padEnd(7)} ${status} ${rmanTime(session, firstAt).slice(0, 10)}`,
      `        Name: ${path}`,
    );
  }
}

export function readReport(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('SCHEMA');
  return {
    name: 'report',
    run() {
      const { files, name } = rmanControl(session);
      session.output.push(
        `Report of database schema for database with db_unique_name ${name}`,
        '',
        'List of Permanent Datafiles',
        '===========================',
        'File Size(MB) Tablespace           RB segs Datafile Name',
        '---- -------- -------------------- ------- ------------------------',
      );
      for (const { file, tablespace, name: path } of files)
        session.output.push(`${String(file).padEnd(4)} 100      ${tablespace.padEnd(20)} ***     ${path}`);
    },
  };
}
