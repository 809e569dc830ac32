import { startUp, stop } from '../../instance/startup.ts';
import type { RmanCommand } from './commands.ts';
import { RmanSyntaxError, type RmanCursor } from './lexer.ts';
import { RmanError, type RmanSession } from './session.ts';

/** Who runs RMAN on the machine is SYSBACKUP by the operating system; with a name, the password is looked at. */
export function connectTarget(session: RmanSession, target: string): void {
  const { instance } = session.server;
  if (target !== '/') {
    const [, name = '', password = ''] = /^([^/@]+)\/([^@]*)/.exec(target) ?? [];
    const user = instance.users.find((one) => one.name === name.toUpperCase());
    if (user === undefined || user.password !== password)
      throw new RmanError(
        4005,
        'error from target database:',
        'ORA-01017: invalid username/password; logon denied',
      );
  }
  session.connected = true;
  session.output.push(connectedLine(session));
}

function connectedLine({ server: { instance } }: RmanSession): string {
  const control = instance.database?.control ?? null;
  if (instance.status === 'DOWN') return 'connected to target database (not started)';
  if (control === null)
    return `connected to target database: ${instance.database?.parameters.get('db_name')?.toUpperCase() ?? ''} (not mounted)`;
  return `connected to target database: ${control.name} (DBID=${control.dbid}${instance.status === 'OPEN' ? '' : ', not open'})`;
}

/** STARTUP [FORCE] [NOMOUNT | MOUNT] [DBA] [PFILE = f]. */
export function readStartup(cursor: RmanCursor, session: RmanSession): RmanCommand {
  const options = {
    force: false,
    restricted: false,
    until: 'OPEN' as 'NOMOUNT' | 'MOUNT' | 'OPEN',
    pfile: null as string | null,
  };
  for (;;) {
    if (cursor.accept('FORCE')) options.force = true;
    else if (cursor.accept('NOMOUNT')) options.until = 'NOMOUNT';
    else if (cursor.accept('MOUNT')) options.until = 'MOUNT';
    else if (cursor.accept('DBA')) options.restricted = true;
    else if (cursor.accept('PFILE')) {
      cursor.accept('=');
      options.pfile = cursor.text();
    } else break;
  }
  return {
    name: 'startup',
    run() {
      if (!session.connected) throw new RmanError(6171, 'not connected to target database');
      startUp(session.server.instance, options);
      session.output.push('Oracle instance started');
      if (options.until !== 'NOMOUNT') session.output.push('database mounted');
      if (options.until === 'OPEN') session.output.push('database opened');
      session.output.push('', 'Total System Global Area    1610612016 bytes');
    },
  };
}

export function readShutdown(cursor: RmanCursor, session: RmanSession): RmanCommand {
  const how =
    (['IMMEDIATE', 'ABORT', 'NORMAL', 'TRANSACTIONAL'] as const).find((word) => cursor.accept(word)) ??
    'NORMAL';
  if (cursor.token.kind === 'word') throw new RmanSyntaxError(cursor.token);
  return {
    name: 'shutdown',
    run() {
      const { status } = session.server.instance;
      stop(session.server.instance, how);
      if (status === 'OPEN' && how !== 'ABORT') session.output.push('database closed');
      if (status === 'OPEN' || status === 'MOUNTED') session.output.push('database dismounted');
      session.output.push('Oracle instance shut down');
    },
  };
}
