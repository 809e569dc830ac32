import { OraError } from '../../wire/values.ts';
import type { Server } from '../../instance/backend.ts';
import { hostTime, type Instance } from '../../instance/instance.ts';
import type { ControlFile } from '../../instance/physical/types.ts';
import { mounted, type Database } from '../../instance/physical/database.ts';
import { databaseOf } from '../../instance/startup.ts';

/** An error of RMAN itself, with what stands below it in the stack. */
export class RmanError extends Error {
  readonly lines: readonly string[];

  constructor(code: number, text: string, ...below: string[]) {
    super(text);
    this.lines = [`RMAN-${String(code).padStart(5, '0')}: ${text}`, ...below];
  }
}

export type RmanUntil =
  | { kind: 'scn'; scn: bigint }
  | { kind: 'time'; at: number }
  | { kind: 'sequence'; sequence: number; thread: number };

/** What lives from command to command. */
export interface RmanSession {
  server: Server;
  output: string[];
  connected: boolean;
  dbid: bigint | null;
  /** Inside of RUN { … }, and gone behind it. */
  block: RunBlock | null;
  configured: Map<string, string>;
  /** Of its channel, in V$SESSION and V$SESSION_LONGOPS. */
  channel: { id: number; serial: number };
}

export interface RunBlock {
  until: RmanUntil | null;
  newNames: Map<number, string>;
  newNameForDatabase: string | null;
  channels: string[];
  /** Files restored under another name, for SWITCH. */
  restored: Map<number, string>;
}

export function instanceOf({ server }: RmanSession): Instance {
  return server.instance;
}

export function rmanDatabase(session: RmanSession): Database {
  if (!session.connected) throw new RmanError(6171, 'not connected to target database');
  if (!session.server.instance.started)
    throw new RmanError(
      6403,
      'could not obtain a fully authorized session',
      'ORA-01034: ORACLE not available',
    );
  return databaseOf(session.server.instance);
}

export function rmanControl(session: RmanSession): ControlFile {
  const database = rmanDatabase(session);
  if (database.control === null) {
    throw new RmanError(
      6403,
      'could not obtain a fully authorized session',
      'ORA-01507: database not mounted',
    );
  }
  return mounted(database);
}

/** A moment as RMAN writes it in its messages. */
export function rmanTime(session: RmanSession, at: number): string {
  const [date = '', time = ''] = hostTime(session.server.instance, at).split(' ');
  const [year, month, day] = date.split('-');
  return `${month}/${day}/${year} ${time}`;
}

export function now({ server }: RmanSession): number {
  return server.instance.settings.now();
}

export function channelOf({ block }: RmanSession): string {
  return block?.channels[0] ?? 'ORA_DISK_1';
}

/** Lines of whatever went wrong, for the stack. */
export function linesOf(error: unknown): readonly string[] {
  if (error instanceof RmanError) return error.lines;
  if (error instanceof OraError) return error.message.split('\n');
  return [`RMAN-00600: internal error, arguments [simulator] [${String(error)}]`];
}

/** The session of a channel, as long as the program runs. */
export function openChannel({ instance }: Server): { id: number; serial: number } {
  const id = Math.max(100, ...instance.sessions.keys()) + 1;
  const serial = id * 7 + 1;
  instance.sessions.set(id, { id, serial, user: 'SYS', since: instance.settings.now(), transaction: null });
  return { id, serial };
}

/** Which command of a RUN block it was. */
export class BlockFailure extends Error {
  readonly command: string;

  constructor(command: string, cause: unknown) {
    super(command, { cause });
    this.command = command;
  }
}
