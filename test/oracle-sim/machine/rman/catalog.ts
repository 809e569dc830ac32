import { existsSync, rmSync } from 'node:fs';
import { saveControl } from '../../instance/physical/database.ts';
import { catalogFolder } from '../../instance/physical/rman-catalog.ts';
import type { ArchivedLog } from '../../instance/physical/types.ts';
import type { RmanCommand } from './commands.ts';
import { RmanSyntaxError, type RmanCursor } from './lexer.ts';
import { rmanControl, rmanDatabase, RmanError, type RmanSession } from './session.ts';

/** CATALOG START WITH 'prefix' [NOPROMPT] | BACKUPPIECE | ARCHIVELOG | DATAFILECOPY 'file'. */
export function readCatalog(cursor: RmanCursor, session: RmanSession): RmanCommand {
  const single = cursor.accept('BACKUPPIECE') || cursor.accept('ARCHIVELOG') || cursor.accept('DATAFILECOPY');
  if (!single) cursor.expect('START', 'WITH');
  const prefix = cursor.text();
  cursor.accept('NOPROMPT');
  return {
    name: 'catalog',
    run() {
      rmanControl(session);
      const { pieces, logs, copies, refused } = catalogFolder(rmanDatabase(session), prefix);
      const found = [...pieces, ...logs, ...copies];
      const { output } = session;
      output.push(`searching for all files that match the pattern ${prefix}`, '');
      if (found.length === 0 && refused.length === 0)
        output.push('no files found to be unknown to the database');
      else
        output.push(
          'List of Files Unknown to the Database',
          '=====================================',
          ...[...found, ...refused].map((path) => `File Name: ${path}`),
          '',
          'cataloging files...',
          'cataloging done',
          '',
        );
      if (found.length > 0)
        output.push(
          'List of Cataloged Files',
          '=======================',
          ...found.map((path) => `File Name: ${path}`),
        );
      if (refused.length > 0)
        output.push(
          '',
          'List of Files Which Were Not Cataloged',
          '=======================================',
          ...refused.map(
            (path) =>
              `File Name: ${path}\n  RMAN-07518: Reason: Foreign database file DBID: 0  Database Name:`,
          ),
        );
      if (single && found.length === 0) throw new RmanError(7518, 'Reason: Foreign database file');
    },
  };
}

/** CROSSCHECK ARCHIVELOG ALL | BACKUP: what is not there any more is EXPIRED. */
export function readCrosscheck(cursor: RmanCursor, session: RmanSession): RmanCommand {
  const logs = cursor.accept('ARCHIVELOG', 'ALL');
  if (!logs && !cursor.accept('BACKUP')) throw new RmanSyntaxError(cursor.token);
  return {
    name: 'crosscheck',
    run() {
      const control = rmanControl(session);
      const checked = logs
        ? control.archived.map((log) => ({ record: log, path: log.name, what: 'archived log' }))
        : control.sets.map((set) => ({ record: set, path: set.handle, what: 'backup piece' }));
      for (const { record, path, what } of checked) {
        if (record.status === 'D') continue;
        record.status = existsSync(path) ? 'A' : 'X';
        const found =
          record.status === 'A'
            ? logs
              ? 'validation succeeded for archived log'
              : "crosschecked backup piece: found to be 'AVAILABLE'"
            : logs
              ? 'validation failed for archived log'
              : "crosschecked backup piece: found to be 'EXPIRED'";
        session.output.push(found, `${what} ${logs ? 'file name' : 'handle'}=${path} RECID=${record.recid}`);
      }
      saveControl(rmanDatabase(session));
    },
  };
}

/** DELETE NOPROMPT BACKUPPIECE 'x' | ARCHIVELOG ALL | ARCHIVELOG FROM SEQUENCE a UNTIL SEQUENCE b [THREAD t] | EXPIRED …; without NOPROMPT it would wait for an answer. */
export function readDelete(cursor: RmanCursor, session: RmanSession): RmanCommand {
  cursor.expect('NOPROMPT');
  const expired = cursor.accept('EXPIRED');
  if (cursor.accept('BACKUPPIECE') || cursor.accept('DATAFILECOPY')) {
    const handle = cursor.text();
    return { name: 'delete', run: () => deletePiece(session, handle) };
  }
  if (expired && cursor.accept('BACKUP')) {
    return { name: 'delete', run: () => deleteExpired(session) };
  }
  cursor.expect('ARCHIVELOG');
  let chosen: (log: ArchivedLog) => boolean = ({ status }) => !expired || status === 'X';
  if (!cursor.accept('ALL')) {
    cursor.expect('FROM', 'SEQUENCE');
    const from = Number(cursor.number());
    cursor.expect('UNTIL', 'SEQUENCE');
    const to = Number(cursor.number());
    const thread = cursor.accept('THREAD') ? Number(cursor.number()) : 1;
    chosen = (log) => log.thread === thread && log.sequence >= from && log.sequence <= to;
  }
  return { name: 'delete', run: () => deleteLogs(session, chosen) };
}

function deletePiece(session: RmanSession, handle: string): void {
  const control = rmanControl(session);
  const found = [
    ...control.sets.filter((set) => set.handle === handle),
    ...control.copies.filter(({ name }) => name === handle),
  ];
  if (found.length === 0)
    throw new RmanError(
      6207,
      'no backup piece or copy found in the repository',
      `RMAN-20260: backup piece not found in the repository: ${handle}`,
    );
  rmSync(handle, { force: true });
  for (const one of found) one.status = 'D';
  session.output.push(
    'deleted backup piece',
    `backup piece handle=${handle}`,
    `Deleted ${found.length} objects`,
  );
  saveControl(rmanDatabase(session));
}

function deleteExpired(session: RmanSession): void {
  const expired = rmanControl(session).sets.filter(({ status }) => status === 'X');
  for (const set of expired) set.status = 'D';
  session.output.push(`Deleted ${expired.length} EXPIRED objects`);
  saveControl(rmanDatabase(session));
}

/** Only of the current incarnation, as RMAN's ranges reach no further. */
function deleteLogs(session: RmanSession, chosen: (log: ArchivedLog) => boolean): void {
  const control = rmanControl(session);
  const { resetlogsScn } = control.incarnations.find(({ number }) => number === control.current)!;
  const logs = control.archived.filter(
    (log) => !log.deleted && log.resetlogsScn === resetlogsScn && chosen(log),
  );
  if (logs.length === 0)
    session.output.push('specification does not match any archived log in the repository');
  for (const log of logs) {
    rmSync(log.name, { force: true });
    Object.assign(log, { deleted: true, status: 'D' });
    session.output.push('deleted archived log', `archived log file name=${log.name} RECID=${log.recid}`);
  }
  saveControl(rmanDatabase(session));
}
