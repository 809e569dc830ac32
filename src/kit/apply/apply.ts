import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { DatabaseAddress } from '../../databases/database.ts';
import { ClonaError, toClonaError } from '../../errors.ts';
import type { Guest } from '../../guest/guest.ts';
import { silent, type OnProgress } from '../../progress.ts';
import type { Kit } from '../check.ts';
import { servesVersion } from '../manifest.ts';
import { removeKit, runGuestStep, uploadKit, type GuestWork, type KitPlace } from './guest-step.ts';
import { StepOutput } from './output.ts';
import {
  decideResume,
  hashProcedure,
  latestByIndex,
  planSteps,
  requireSameProcedure,
  type KitStepRecord,
  type PlannedStep,
} from './record.ts';
import { askCommitted, runSqlOn, type RunSql } from './sql-step.ts';
import { ddlStays, runSqlPlusStep, type SqlPlusPlace } from './sqlplus-step.ts';
import { readProgramVersion, writeProgramVersion } from './version-file.ts';

export interface ApplyKitOptions {
  kit: Kit;
  guest: Guest;
  /** Disks as the guest sees them (MachineFacts). */
  place: KitPlace;
  /** PostgreSQL's address, or how another engine runs a SQL step. */
  database: DatabaseAddress | RunSql;
  /** Oracle: where `sqlplus` steps run. */
  sqlPlus?: SqlPlusPlace | undefined;
  /** What earlier runs of this kit on this very machine (since its last refresh) recorded, oldest first. */
  previousSteps?: readonly KitStepRecord[] | undefined;
  /** R17: what staging recorded; given on LIVE, where nothing else may run. */
  recordedSteps?: readonly KitStepRecord[] | undefined;
  /** Into the ledger; awaited, so that nothing is done that is not on record. */
  onRecord: (record: KitStepRecord) => Promise<void>;
  /** Known secrets, kept out of output and records; the database's password is one by itself. */
  secrets?: readonly string[] | undefined;
  /** Variables for `run` steps. */
  env?: Readonly<Record<string, string>> | undefined;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
}

export interface KitReport {
  kit: { name: string; version: string; hash: string };
  outcome: 'succeeded' | 'failed';
  failedStep: string | null;
  /** One sentence, without secrets. */
  failure: string | null;
  versionBefore: string | null;
  versionAfter: string | null;
  procedureHash: string;
  steps: KitStepRecord[];
  startedAt: string;
  finishedAt: string;
}

/**
 * Installs a kit on a machine, step by step. A step that fails ends it: the report says `failed`, the kit's
 * files stay in the guest for inspection. Thrown is what hinders a verdict: a wrong version (`kitUnfit`), a
 * procedure that staging did not have (`gateClosed`), a step that may have run before (`kitStepUncertain`), a
 * connection that is gone. After those the same call, with the records as `previousSteps`, goes on.
 */
export async function applyKit(options: ApplyKitOptions): Promise<KitReport> {
  const { kit, guest, place, signal, onProgress = silent } = options;
  const startedAt = new Date().toISOString();
  const planned = await planSteps(kit);
  if (options.recordedSteps !== undefined) requireSameProcedure(planned, options.recordedSteps);
  for (const { step } of planned) requireEngine(options, step);
  const earlier = latestByIndex(options.previousSteps ?? []);
  const versionBefore = await checkVersion(options, earlier);
  const plan = await decideAll(planned, earlier, options);
  const upload = planned.some(
    ({ step }, index) => step !== null && step.kind !== 'sql' && plan[index] === 'run',
  );
  const work = guestWork(options, new StepOutput([]));
  if (upload) await uploadKit(work);
  const steps: KitStepRecord[] = [];
  for (const [index, next] of planned.entries()) {
    const before = earlier.get(index);
    if (plan[index] === 'skip' && before !== undefined) {
      onProgress({ step: `kit: ${next.name}`, state: 'skipped', detail: 'done by an earlier run' });
      steps.push(await settle(before, options));
      continue;
    }
    // Before the record: a step that is on record counts as one that may have run.
    signal.throwIfAborted();
    const record = await runStep(next, options);
    steps.push(record);
    if (record.state === 'failed') break;
  }
  const last = steps.at(-1);
  const failed = last?.state === 'failed' ? last : null;
  if (upload && failed === null) await removeKit(work);
  return {
    kit: { name: kit.manifest.name, version: kit.manifest.version, hash: kit.hash },
    outcome: failed === null ? 'succeeded' : 'failed',
    failedStep: failed?.name ?? null,
    failure: failed?.failure ?? null,
    versionBefore,
    versionAfter: await readProgramVersion(guest, place.systemDisk, signal, kit.manifest.versionFile),
    procedureHash: hashProcedure(steps),
    steps,
    startedAt,
    finishedAt: new Date().toISOString(),
  };
}

/** A failed report as the error that ends a release with exit 4. */
export function requireSuccess(report: KitReport, machine: string): void {
  if (report.outcome === 'succeeded') return;
  const { kit, failedStep, failure } = report;
  const isOracle = report.steps.at(-1)?.kind === 'sqlplus';
  throw new ClonaError(
    'kitStepFailed',
    `kit ${kit.name} ${kit.version} failed on ${machine} in step "${failedStep}": ${failure}`,
    {
      hint: `the machine is kept as it is, for inspection${isOracle ? `; ${ddlStays}` : ''}`,
      details: { step: failedStep, kit: kit.hash },
    },
  );
}

async function checkVersion(
  options: ApplyKitOptions,
  earlier: Map<number, KitStepRecord>,
): Promise<string | null> {
  const { kit, guest, place, signal } = options;
  const { name, version, fromVersions, versionFile } = kit.manifest;
  const current = await readProgramVersion(guest, place.systemDisk, signal, versionFile);
  // A run that goes on may find its own version there.
  if ([...earlier.values()].some(({ state }) => state === 'done')) return current;
  const fits = current === null ? fromVersions.length === 0 : servesVersion(fromVersions, current);
  if (fits) return current;
  const found = current === null ? `has no version file ${versionFile}` : `has version ${current}`;
  throw new ClonaError(
    'kitUnfit',
    `kit ${name} ${version} upgrades from ${fromVersions.join(' or ')}, and the machine ${found}`,
    {
      hint: current === version ? 'it is installed already' : 'install the versions in between first',
      details: { current, fromVersions, version },
    },
  );
}

/** Decided for all steps before the first one runs: a kit that cannot be finished is not begun. */
async function decideAll(
  planned: readonly PlannedStep[],
  earlier: Map<number, KitStepRecord>,
  options: ApplyKitOptions,
): Promise<('run' | 'skip')[]> {
  const decisions: ('run' | 'skip')[] = [];
  for (const next of planned) {
    const decision = decideResume(next, earlier.get(next.index));
    if (decision.do === 'refuse') throw uncertain(next, decision.why);
    if (decision.do !== 'ask') decisions.push(decision.do);
    else {
      const { database, signal } = options;
      const committed =
        typeof database === 'function'
          ? undefined
          : await askCommitted(database, decision.transactionId, signal);
      if (committed === undefined) throw uncertain(next, 'may have been committed by the earlier run');
      decisions.push(committed ? 'skip' : 'run');
    }
  }
  return decisions;
}

function uncertain(step: PlannedStep, why: string): ClonaError {
  return new ClonaError('kitStepUncertain', `step ${step.index + 1} "${step.name}" ${why}`, {
    hint: 'look at the machine, or start again from a fresh refresh (staging) or a rollback (LIVE)',
    details: { step: step.name, index: step.index },
  });
}

/** A transaction that turned out to be committed gets the record that its own run could not write any more. */
async function settle(record: KitStepRecord, options: ApplyKitOptions): Promise<KitStepRecord> {
  if (record.state === 'done') return record;
  const settled: KitStepRecord = {
    ...record,
    state: 'done',
    exitCode: 0,
    finishedAt: new Date().toISOString(),
  };
  await options.onRecord(settled);
  return settled;
}

/** Before the first step runs: a kit for another database is not begun. */
function requireEngine(options: ApplyKitOptions, step: PlannedStep['step']): void {
  if (step?.kind === 'sqlplus') requireSqlPlus(options, step.name);
  if (step?.kind !== 'sql' || options.sqlPlus === undefined) return;
  const { name } = options.kit.manifest;
  throw new ClonaError(
    'kitUnfit',
    `step "${step.name}" of kit ${name} is for PostgreSQL, and this database is Oracle`,
    {
      hint: 'sqlplus steps are for Oracle, sql steps for PostgreSQL',
    },
  );
}

function requireSqlPlus({ sqlPlus, kit }: ApplyKitOptions, step: string): SqlPlusPlace {
  if (sqlPlus !== undefined) return sqlPlus;
  throw new ClonaError(
    'kitUnfit',
    `step "${step}" of kit ${kit.manifest.name} is for SQL*Plus, and this database has none`,
    {
      hint: 'sqlplus steps are for Oracle, sql steps for PostgreSQL',
    },
  );
}

function guestWork(options: ApplyKitOptions, output: StepOutput): GuestWork {
  const { kit, guest, place, env = {}, signal } = options;
  return { kit, guest, place, env, output, signal };
}

async function runStep(next: PlannedStep, options: ApplyKitOptions): Promise<KitStepRecord> {
  const { onRecord, onProgress = silent } = options;
  const output = new StepOutput(knownSecrets(options));
  const { index, name, kind, contentHash, repeatable } = next;
  let record: KitStepRecord = {
    index,
    name,
    kind,
    contentHash,
    repeatable,
    state: 'started',
    startedAt: new Date().toISOString(),
    finishedAt: null,
    exitCode: null,
    transactionId: null,
    output: '',
    outputBytes: 0,
    failure: null,
  };
  const progress = `kit: ${name}`;
  onProgress({ step: progress, state: 'started' });
  await onRecord(record);
  const end = async (
    state: 'done' | 'failed',
    exitCode: number | null,
    failure: string | null,
  ): Promise<KitStepRecord> => {
    const ended = { output: output.tail(), outputBytes: output.bytes, finishedAt: new Date().toISOString() };
    record = { ...record, ...ended, state, exitCode, failure };
    await onRecord(record);
    onProgress({ step: progress, state, detail: failure ?? output.lastLine() });
    return record;
  };
  const beforeCommit = async (transactionId: string): Promise<void> => {
    record = { ...record, state: 'committing', transactionId };
    await onRecord(record);
  };
  try {
    const exitCode = await doStep(next, options, output, beforeCommit);
    if (exitCode === 0) return await end('done', 0, null);
    return await end('failed', exitCode, `it ended with exit code ${exitCode ?? 'none (a signal ended it)'}`);
  } catch (thrown) {
    const error = toClonaError(thrown);
    if (options.signal.aborted || error.kind !== 'kitStepFailed') {
      onProgress({ step: progress, state: 'failed', detail: output.clean(error.message) });
      throw thrown;
    }
    return end('failed', null, output.clean(error.message));
  }
}

function knownSecrets({ database, sqlPlus, secrets = [], env = {} }: ApplyKitOptions): string[] {
  const password = typeof database === 'function' ? undefined : database.password;
  const oracle =
    sqlPlus === undefined
      ? []
      : [sqlPlus.address.password, sqlPlus.logon.kind === 'password' ? sqlPlus.logon.password : undefined];
  const named = Object.entries(env).filter(([name]) => /pass|pwd|secret|token|key/i.test(name));
  return [
    ...secrets,
    ...[password, ...oracle].filter((one) => one !== undefined),
    ...named.map(([, value]) => value),
  ];
}

async function doStep(
  { step }: PlannedStep,
  options: ApplyKitOptions,
  output: StepOutput,
  beforeCommit: (transactionId: string) => Promise<void>,
): Promise<number | null> {
  const { kit, guest, place, database, signal } = options;
  if (step === null) {
    const { version, versionFile } = kit.manifest;
    await writeProgramVersion(guest, place.systemDisk, version, versionFile, signal);
    output.line(`${versionFile} is ${version}`);
    return 0;
  }
  if (step.kind === 'sqlplus') {
    await runSqlPlusStep(step, guestWork(options, output), requireSqlPlus(options, step.name));
    return 0;
  }
  if (step.kind !== 'sql') return runGuestStep(step, guestWork(options, output));
  const runSql = typeof database === 'function' ? database : runSqlOn(database);
  const { file, transaction, timeoutMs, lockTimeoutMs } = step;
  const text = await readFile(join(kit.directory, file), 'utf8');
  await runSql({ file, text, transaction, timeoutMs, lockTimeoutMs, output, beforeCommit, signal });
  return 0;
}
