import { randomBytes } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { connectOracle, type OracleSession } from '../../databases/oracle/connect.ts';
import {
  findNewlyInvalid,
  readInvalidObjects,
  recompileInvalid,
  type InvalidName,
} from '../../databases/oracle/recompile.ts';
import {
  createSqlPlusJudge,
  sessionMark,
  sqlPlusInput,
  type SqlPlusLogon,
} from '../../databases/oracle/sqlplus-kit.ts';
import { endServerSessions } from '../../databases/oracle/end-session.ts';
import type { DatabaseAddress } from '../../databases/database.ts';
import { ClonaError, toClonaError } from '../../errors.ts';
import type { CommandResult } from '../../guest/guest.ts';
import type { KitStep } from '../manifest.ts';
import { endsItself } from '../sqlplus-text.ts';
import { joinGuest, kitFolder, type GuestWork } from './guest-step.ts';

/** Where the scripts of a kit run: SQL*Plus on the machine itself, and the driver beside it for what it left behind. */
export interface SqlPlusPlace {
  logon: SqlPlusLogon;
  /** ORACLE_HOME and ORACLE_SID of the machine. */
  home: string;
  instanceName: string;
  /** Where SQLcl lies; default `sqlcl` in ORACLE_HOME. */
  sqlclHome?: string | undefined;
  /**
   * The application's schema, where SYSDBA logs on: a vendor writes his scripts for its owner, and what they make without a name
   * in front must not come to lie in SYS. A step may name another one.
   */
  schema?: string | undefined;
  /** For invalid objects before and after. */
  address: DatabaseAddress;
}

/** Nobody is to believe that a failed script of Oracle is undone as a failed SQL step of PostgreSQL is. */
export const ddlStays =
  'what ran before stays: DDL commits by itself, and no transaction brings it back; only the restore point or the snapshot does';

type SqlPlusStep = Extract<KitStep, { kind: 'sqlplus' }>;

/**
 * Runs one script by SQL*Plus (or SQLcl) on the machine, recompiles what it left invalid, and fails where an object is invalid
 * now that was valid before: SQL*Plus itself calls "created with compilation errors" a success.
 */
export async function runSqlPlusStep(step: SqlPlusStep, work: GuestWork, place: SqlPlusPlace): Promise<void> {
  const { output, signal } = work;
  const before = await readBefore(place, signal);
  try {
    await runScript(step, work, place);
  } catch (error) {
    output.line(ddlStays);
    throw error;
  }
  // A session of its own: a script may take hours, and may have closed the database and opened it again.
  await using session = await openAfter(step, place, signal);
  const left = await readInvalidObjects(session);
  await recompileInvalid(session, findNewlyInvalid(before, left));
  const after = await readInvalidObjects(session);
  const broken = findNewlyInvalid(before, after);
  const cured = before.filter((one) => !after.includes(one));
  if (cured.length > 0) output.line(`valid again: ${cured.join(', ')}`);
  if (broken.length === 0) return;
  output.line(`invalid now, valid before: ${broken.join(', ')}`);
  const some = broken.slice(0, 5).join(', ');
  throw new ClonaError('kitStepFailed', `${step.file} leaves ${broken.length} objects invalid: ${some}`, {
    details: { invalid: broken },
  });
}

async function readBefore({ address }: SqlPlusPlace, signal: AbortSignal): Promise<InvalidName[]> {
  await using session = await connectOracle(address, signal, { module: 'clona kit' });
  return await readInvalidObjects(session);
}

async function openAfter(
  { file }: SqlPlusStep,
  { address }: SqlPlusPlace,
  signal: AbortSignal,
): Promise<OracleSession> {
  try {
    return await connectOracle(address, signal, { module: 'clona kit' });
  } catch (error) {
    signal.throwIfAborted();
    const { message, details } = toClonaError(error);
    throw new ClonaError('kitStepFailed', `after ${file} nobody can log on to the database: ${message}`, {
      cause: error,
      details,
    });
  }
}

async function runScript(step: SqlPlusStep, work: GuestWork, place: SqlPlusPlace): Promise<void> {
  const { guest, output, signal, env } = work;
  const token = randomBytes(8).toString('hex');
  const path = joinGuest(kitFolder(work), step.file, guest.platform);
  const judge = createSqlPlusJudge(token, step.tolerate, (line) => output.line(line));
  const schema = step.schema ?? (place.logon.kind === 'sysdba' ? place.schema : undefined);
  const program = programOf(step, place, guest.platform);
  let result: CommandResult;
  try {
    result = await guest.run([program, '-S', '/nolog'], {
      signal,
      timeoutMs: step.timeoutMs,
      // @name looks here, and so do spool files.
      cwd: path.slice(0, Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\'))),
      env: {
        ...env,
        ORACLE_HOME: place.home,
        ORACLE_SID: place.instanceName,
        NLS_LANG: 'AMERICAN_AMERICA.AL32UTF8',
      },
      stdin: sqlPlusInput({ path, logon: place.logon, token, define: step.define, schema }),
      // What is kept is kept by `output`; a talkative script must not fill our memory.
      stdoutTo: new Writable({
        decodeStrings: false,
        write: (chunk: Buffer | string, _encoding, done) => {
          judge.add(chunk.toString());
          done();
        },
      }),
    });
  } catch (error) {
    // Ended here, it may still run there; the signal of the run is over, too.
    const left = await endServerSessions(place.address, sessionMark(token), AbortSignal.timeout(15_000));
    if (left !== null) output.line(left);
    if (!(error instanceof ClonaError) || error.details?.['timeoutMs'] === undefined) throw error;
    const also = left === null ? 'its session was ended' : left;
    throw new ClonaError(
      'kitStepFailed',
      `${step.file} did not end within ${step.timeoutMs / 1000} s; ${also}`,
      {
        cause: error,
      },
    );
  }
  judge.add(result.stderr);
  const text = await readFile(join(work.kit.directory, step.file), 'utf8');
  const { ok, failure, compilationWarnings } = judge.end(result.exitCode, endsItself(text));
  if (compilationWarnings > 0)
    output.line(`${compilationWarnings} objects were created with compilation errors`);
  if (ok) return;
  if (result.exitCode === 127) {
    throw new ClonaError('kitStepFailed', `there is no ${program} on the machine`, {});
  }
  throw new ClonaError('kitStepFailed', `${step.file}: ${failure}`);
}

function programOf(
  { client }: SqlPlusStep,
  { home, sqlclHome }: SqlPlusPlace,
  platform: 'linux' | 'windows',
): string {
  const end = platform === 'windows' ? '.exe' : '';
  return client === 'sqlcl'
    ? joinGuest(sqlclHome ?? joinGuest(home, 'sqlcl', platform), `bin/sql${end}`, platform)
    : joinGuest(home, `bin/sqlplus${end}`, platform);
}
