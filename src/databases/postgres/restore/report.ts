import { planToJson } from '../../../recovery/answer.ts';
import type { Position } from '../../../recovery/position.ts';
import { formatLsn } from '../lsn.ts';
import type { RestoreContext, RestoreUntil } from './context.ts';
import type { Estimate } from './estimate.ts';
import type { MadeCluster } from './make-cluster.ts';
import { describeUntil } from './choose/unreachable.ts';

export interface RestoreCheck {
  name: string;
  state: 'ok' | 'changed' | 'warning';
  detail: string;
}

/** The measured RTO beside the RPO: what was restored, how far, how long it took and what is lost. Positions are decimal. */
export interface RestoreReport {
  dryRun: boolean;
  label: string;
  target: { folder: string; until: string; timeline: number };
  /** What the plan expected; for a time that is an estimate. null: only the server knows. */
  positionPlanned: string | null;
  positionReached: string | null;
  /** Of the last transaction that was replayed. */
  timeReached: string | null;
  timelineBefore: number | null;
  timelineAfter: number | null;
  bytes: number;
  writtenBytes: number;
  logBytes: number;
  seconds: number;
  unpackSeconds: number;
  redoSeconds: number;
  /** What the archive knows beyond the position reached. */
  lost: { positions: string; from: string | null; to: string | null };
  warnings: string[];
  checks: RestoreCheck[];
  estimate: Estimate;
  plan: Record<string, unknown>;
  isRunning: boolean;
  /** A line to paste that starts it: in a shell of root where clona ran as root, else of the user clona ran as. */
  startCommand: string;
}

export function summarize(
  context: RestoreContext,
  made: MadeCluster | null,
  startedMs: number,
): RestoreReport {
  const { options, selection, layout, estimate } = context;
  const reached = made?.reached.position ?? null;
  const time = made?.recovered.lastTransactionTime ?? null;
  return {
    dryRun: made === null,
    label: selection.backup.label,
    target: { folder: layout.target, until: sayUntil(options.until), timeline: selection.timeline },
    positionPlanned: selection.plan.redoTo?.toString() ?? null,
    positionReached: reached?.toString() ?? null,
    timeReached: time,
    timelineBefore: made?.reached.timelineBefore ?? null,
    timelineAfter: made?.reached.timelineAfter ?? null,
    bytes: made?.unpacked.bytes ?? 0,
    writtenBytes: made?.unpacked.writtenBytes ?? 0,
    logBytes: made?.logBytes ?? 0,
    seconds: rounded((performance.now() - startedMs) / 1000),
    unpackSeconds: rounded(made?.unpackSeconds ?? 0),
    redoSeconds: rounded(made?.redoSeconds ?? 0),
    lost: measureLost(context, reached, time),
    warnings: [
      ...new Set([...context.warnings, ...selection.warnings, ...(made === null ? [] : warningsOf(made))]),
    ],
    checks: made === null ? [] : checksOf(made),
    estimate,
    plan: planToJson(selection.plan),
    isRunning: made?.isRunning ?? false,
    startCommand: context.place.startLine(layout.target, `${layout.target}.log`, {
      socketDir: options.start?.socketDir ?? '/tmp',
      port: options.start?.port,
    }),
  };
}

function sayUntil(until: RestoreUntil): string {
  return until.kind === 'restorePoint' ? `restore point ${until.name}` : describeUntil(until);
}

/** The end of the last segment counts as known although the log may end before it: then nothing lies between. */
function measureLost(
  { selection, options }: RestoreContext,
  reached: Position | null,
  time: string | null,
): RestoreReport['lost'] {
  const { knownEnd, target } = selection;
  const end = reached ?? selection.plan.redoTo ?? knownEnd.position;
  if (target.kind === 'end' || options.until.kind === 'latest' || knownEnd.position <= end) {
    return { positions: '0', from: null, to: null };
  }
  return { positions: (knownEnd.position - end).toString(), from: time, to: knownEnd.time };
}

function warningsOf({
  unpacked,
  configured,
  recovered,
  findings,
  logRepairs,
  ownConfigurationProblem,
}: MadeCluster): string[] {
  return [
    ...unpacked.repairs,
    ...logRepairs,
    ...configured.warnings,
    ...recovered.warnings,
    ...findings.leftBehind.map((what) => `left as it is, since nobody can enter its database: ${what}`),
    ...findings.unloggedTables.map((name) => `unlogged table, empty after recovery: ${name}`),
    ...(ownConfigurationProblem === null
      ? []
      : [`it does not start here with its own configuration: ${ownConfigurationProblem}`]),
  ];
}

function checksOf({
  unpacked,
  configured,
  reached,
  findings,
  ownConfigurationProblem,
}: MadeCluster): RestoreCheck[] {
  const list = (names: readonly string[]): string => (names.length === 0 ? 'none' : names.join(', '));
  const changed = (name: string, names: readonly string[]): RestoreCheck => ({
    name,
    state: names.length === 0 ? 'ok' : 'changed',
    detail: list(names),
  });
  return [
    { name: 'every file matches the manifest', state: 'ok', detail: `${unpacked.bytes} bytes` },
    {
      name: 'opened past consistency on a timeline of its own',
      state: 'ok',
      detail: `timeline ${reached.timelineAfter} at ${formatLsn(reached.position)}`,
    },
    { name: 'every database can be entered', state: 'ok', detail: list(findings.databases) },
    changed(
      'settings put out of action',
      configured.changes.map(({ file, line, name }) => `${name} (${file}:${line})`),
    ),
    changed(
      'prepared transactions rolled back',
      findings.preparedTransactions.map(({ gid, database }) => `${gid} (${database})`),
    ),
    changed(
      'subscriptions disabled',
      findings.subscriptions.map(({ name, database }) => `${name} (${database})`),
    ),
    changed('replication slots dropped', findings.droppedSlots),
    changed(
      'collations of another version',
      findings.collations.map(
        ({ database, collation, recorded, actual }) =>
          `${database} ${collation ?? 'default'}: ${recorded} → ${actual}`,
      ),
    ),
    {
      name: 'indexes built anew',
      state: findings.reindexed === 0 ? 'ok' : 'changed',
      detail: String(findings.reindexed),
    },
    {
      name: 'starts with its own configuration',
      state: ownConfigurationProblem === null ? 'ok' : 'warning',
      detail: ownConfigurationProblem ?? 'yes',
    },
  ];
}

function rounded(seconds: number): number {
  return Math.round(seconds * 100) / 100;
}
