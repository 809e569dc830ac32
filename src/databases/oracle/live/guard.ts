import { ClonaError } from '../../../errors.ts';
import { runSqlPlus, type OracleTools } from '../guest-tools.ts';
import { sqlPlus } from '../restore-program.ts';
import { quoteName } from '../rman-text.ts';
import { decideWayBack } from '../way-back.ts';
import type { LiveGuard } from './decide.ts';
import { judgeLive } from './judge.ts';
import { readLiveState, type LiveState } from './state.ts';

/**
 * Notes where LIVE is and, where the edition has it, makes the guaranteed restore point of this name, beside the snapshot of the
 * machine. May be called again: a restore point of ours that is there is kept as it is, so that a second call after a kill
 * never moves the way back past what the first run has done. Throws when LIVE is not open.
 */
export async function guardLive(tools: OracleTools, name: string): Promise<LiveGuard> {
  const state = await readLiveState(tools);
  const { current } = state;
  if (state.openMode !== 'READ WRITE' || current === null) {
    throw new ClonaError(
      'databaseFailed',
      `LIVE is ${state.openMode ?? state.instance}, not open for writing`,
      {
        hint: 'a promotion begins with a database that is open: STARTUP, and look into its alert log',
      },
    );
  }
  if (state.cluster) {
    throw new ClonaError(
      'serverUnfit',
      'LIVE is a cluster (RAC): neither FLASHBACK DATABASE nor a snapshot of one machine takes it back',
      {
        hint: 'clona promotes single instances; a cluster needs its other instances shut down, and all its disks in one snapshot',
      },
    );
  }
  const { kind, reasons } = decideWayBack(state);
  const { resetlogs } = current;
  if (kind === 'snapshot') return { kind, name, scn: state.scn, resetlogs, reasons };
  const before = findPoint(state, name);
  if (before === undefined) {
    const text = `CREATE RESTORE POINT ${quoteName(name, 'the restore point')} GUARANTEE FLASHBACK DATABASE;`;
    await runChecked(tools, 'guard', [text]);
  }
  const point = findPoint(before === undefined ? await readLiveState(tools) : state, name);
  if (point === undefined) throw new ClonaError('databaseFailed', `the restore point ${name} is not there`);
  return { kind, name, scn: point.scn, resetlogs, reasons };
}

/** Ours, and of this very branch: another one of that name would lead somewhere else. */
function findPoint(
  { restorePoints, current }: LiveState,
  name: string,
): LiveState['restorePoints'][number] | undefined {
  const point = restorePoints.find((one) => one.name === name);
  if (point === undefined) return undefined;
  if (point.guaranteed && point.incarnation === current?.key) return point;
  const why = point.guaranteed ? `of incarnation ${point.incarnation}` : 'not guaranteed';
  throw new ClonaError('targetOccupied', `there is a restore point ${name} already, and it is ${why}`, {
    hint: `it is of an earlier run: DROP RESTORE POINT ${name} when nobody needs it`,
    details: { point },
  });
}

/**
 * Drops the restore point, once the promotion is confirmed or LIVE is proven to be back: it holds flashback logs in the recovery area
 * until then, and a full area stops the database. May be called again; also in the mounted state. true: it was there.
 */
export async function releaseGuard(tools: OracleTools, name: string): Promise<boolean> {
  const has = async (): Promise<boolean> => {
    const state = await readLiveState(tools);
    if (state.current === null) {
      throw new ClonaError('databaseFailed', `LIVE is ${state.instance}: its restore points cannot be seen`, {
        hint: 'STARTUP MOUNT is enough to drop one',
      });
    }
    return state.restorePoints.some((point) => point.name === name);
  };
  if (!(await has())) return false;
  await runChecked(tools, 'release-guard', [`DROP RESTORE POINT ${quoteName(name, 'the restore point')};`]);
  if (await has()) throw new ClonaError('databaseFailed', `the restore point ${name} is still there`);
  return true;
}

/** Closes LIVE for everybody but administrators, or opens it again. May be repeated. */
export async function restrictLive(tools: OracleTools, restricted: boolean): Promise<void> {
  const word = restricted ? 'ENABLE' : 'DISABLE';
  await runChecked(tools, 'restrict', [`ALTER SYSTEM ${word} RESTRICTED SESSION;`]);
}

/** Runs statements as SYSDBA; the first error ends them and is thrown as what it means. Gives what was printed. */
export async function runChecked(
  tools: OracleTools,
  name: string,
  statements: readonly string[],
): Promise<string> {
  return runProgram(tools, name, sqlPlus(statements));
}

/** The same for a whole program that `sqlPlus` made. */
export async function runProgram(tools: OracleTools, name: string, program: string): Promise<string> {
  const { text, exitCode } = await runSqlPlus(tools, name, program);
  const problem = judgeLive(text, exitCode);
  if (problem !== null) throw problem;
  return text;
}
