import type { LogName, PlanAnswer } from './answer.ts';
import type { ArchivedLog, Backup, Catalog, ChangeWithoutRedo } from './catalog.ts';
import { coveredUpTo, type Coverage } from './coverage.ts';
import { cutOf, ownerOf, showPath } from './lineage.ts';
import { planLogOnly } from './log-only.ts';
import { measureLoss } from './loss.ts';
import { cutAt, showPosition, type Position } from './position.ts';
import type { Question } from './question.ts';
import { findLost, whyNotChosen, whyUnserved, type ReasonContext } from './reasons.ts';
import {
  choose,
  findCandidates,
  findNearest,
  resolveUntil,
  serves,
  startSearch,
  type Candidate,
  type Search,
} from './search.ts';
import { isRunning, lowOf, type WholeBackup } from './serve.ts';
import { describeChoice, describeImport, describeSteps, describeUnreachable, warnOf } from './steps.ts';

/**
 * R1 to R9 and A1 to A14: which backup and which logs bring the database to the target, or why none does.
 * Pure and total for a catalog that passed `checkCatalog`; a question that names an unknown label or
 * incarnation is refused with `questionInvalid`.
 */
export function planRecovery(catalog: Catalog, question: Question): PlanAnswer {
  if (question.logOnly === 'cleanly' && question.until.kind === 'latest') return planLogOnly(catalog);
  const search = startSearch(catalog, question);
  if (question.until.kind === 'backup') {
    const asked = search.backups[0]!; // startSearch found it
    if (asked.kind === 'export') return planExport(search, asked);
  }
  const candidates = findCandidates(search);
  const until = resolveUntil(search, candidates);
  if (until === null) return answerUnreachable(search, candidates, until);
  const chosen = choose(candidates, until);
  return chosen === null
    ? answerUnreachable(search, candidates, until)
    : answerReachable(search, candidates, until, chosen);
}

function answerReachable(
  search: Search,
  candidates: readonly Candidate[],
  until: Position,
  chosen: WholeBackup,
): PlanAnswer {
  const { catalog, coverage, path } = search;
  const incarnation = ownerOf(path, until);
  const low = lowOf(chosen);
  const logs = low < until ? nameLogs(coverage, low, until) : [];
  const serving = new Map(
    candidates.filter((one) => serves(one, until)).map(({ backup }) => [backup.label, backup]),
  );
  const whyOf = startReasons(search, until);
  const answer: Omit<PlanAnswer, 'steps'> = {
    reachable: true,
    target: { incarnation, until },
    backup: chosen.label,
    logs,
    usesOnlineLog: coveredUpTo(coverage.threads, low, 'archived') < until,
    resetDatabaseToIncarnation: incarnation === catalog.currentIncarnation ? null : incarnation,
    opensNewIncarnation: opensNewIncarnation(search, incarnation, until),
    redoFrom: chosen.start,
    redoTo: until,
    loss: measureLoss(coverage, until),
    rejected: search.backups
      .filter((backup) => backup !== chosen)
      .map((backup) => {
        const other = serving.get(backup.label);
        const reasons = other === undefined ? whyOf(backup) : [whyNotChosen(other, chosen, until)];
        return { backup: backup.label, reasons };
      }),
    nearest: { below: null, above: null },
    chosenBecause: describeChoice(chosen, until, serving.size),
    warnings: warnOf(search, chosen, until),
    changesWithoutRedo: findChangesWithoutRedo(search, chosen.start, until),
    path: showPath(path),
  };
  return { ...answer, steps: describeSteps(search, answer, chosen, until) };
}

/** A3: only recovery through the whole log of CURRENT opens it again without a new incarnation. */
function opensNewIncarnation({ catalog, question }: Search, incarnation: number, until: Position): boolean {
  const { engine, currentIncarnation, logs, onlineLogs } = catalog;
  if (engine === 'postgres' || incarnation !== currentIncarnation || question.lost !== 'database')
    return true;
  const online = onlineLogs.filter((log) => log.incarnation === currentIncarnation);
  if (online.length === 0 || online.some(({ end }) => end > until)) return true;
  return logs.some((log) => log.incarnation === currentIncarnation && log.next > until);
}

/** A7 and A21: each (incarnation, thread, sequence) once, whatever its copies. */
function nameLogs({ path, archivedLogs }: Coverage, low: Position, until: Position): LogName[] {
  const byDepth: ArchivedLog[][] = path.incarnations.map(() => []);
  for (const log of archivedLogs) {
    const depth = path.depthOf.get(log.incarnation)!; // they lie on the path
    const end = cutAt(log.next, path.cuts[depth] ?? null);
    if (log.first < until && end > low) byDepth[depth]!.push(log); // as deep as the path
  }
  const byName = (a: LogName, b: LogName): number => a.thread - b.thread || a.sequence - b.sequence;
  return byDepth.flatMap((logs) =>
    logs
      .sort(byName)
      .filter((log, index, sorted) => index === 0 || byName(sorted[index - 1]!, log) !== 0)
      .map(({ incarnation, thread, sequence }) => ({ incarnation, thread, sequence })),
  );
}

/** Why a backup does not serve `until`: what all of them are judged by is gathered once. */
function startReasons(
  { broken, coverage, catalog }: Search,
  until: Position | null,
): (backup: Backup) => string[] {
  const context: ReasonContext = {
    coverage,
    broken,
    lost: findLost(coverage),
    show: (position) => showPosition(catalog.engine, position),
  };
  return (backup) => whyUnserved(backup, until, context);
}

/** The copied blocks may be as old as `start`, so what changed without redo since then is not in them for sure. */
function findChangesWithoutRedo(
  { catalog, path }: Search,
  start: Position,
  until: Position,
): ChangeWithoutRedo[] {
  return (catalog.changesWithoutRedo ?? []).filter(({ incarnation, position }) => {
    const cut = cutOf(path, incarnation);
    if (cut === undefined) return false;
    return position === null || (position >= start && position < until && (cut === null || position < cut));
  });
}

function answerUnreachable(
  search: Search,
  candidates: readonly Candidate[],
  until: Position | null,
): PlanAnswer {
  const { path, catalog, question } = search;
  const whyOf = startReasons(search, until);
  const answer: Omit<PlanAnswer, 'steps'> = {
    reachable: false,
    target: {
      incarnation: until === null ? path.incarnations.at(-1)!.id : ownerOf(path, until), // never empty
      until,
    },
    backup: null,
    logs: [],
    usesOnlineLog: false,
    resetDatabaseToIncarnation: null,
    opensNewIncarnation: false,
    redoFrom: null,
    redoTo: null,
    loss: { positions: null, from: null, to: null },
    rejected: search.backups.map((backup) => ({ backup: backup.label, reasons: whyOf(backup) })),
    nearest: findNearest(candidates, until),
    chosenBecause: [],
    warnings: [],
    changesWithoutRedo: [],
    path: showPath(path),
  };
  return { ...answer, steps: describeUnreachable(catalog, question, answer) };
}

/** A11: an export is imported, nothing is applied to it. */
function planExport(search: Search, asked: Backup): PlanAnswer {
  const { coverage, path } = search;
  const until = asked.consistentFrom;
  if (until === null || asked.state !== 'available' || isRunning(asked) || search.broken.has(asked.label)) {
    return answerUnreachableExport(search, asked);
  }
  return {
    reachable: true,
    target: { incarnation: asked.incarnation, until },
    backup: asked.label,
    logs: [],
    usesOnlineLog: false,
    resetDatabaseToIncarnation: null,
    opensNewIncarnation: false,
    redoFrom: null,
    redoTo: null,
    loss: measureLoss(coverage, until),
    steps: describeImport(asked),
    rejected: [],
    nearest: { below: null, above: null },
    chosenBecause: ['it is the export that was asked for'],
    warnings: warnOf(search, asked, until),
    changesWithoutRedo: [],
    path: showPath(path),
  };
}

function answerUnreachableExport(search: Search, asked: Backup): PlanAnswer {
  const answer = answerUnreachable(search, [], asked.consistentFrom);
  const base = search.broken.get(asked.label);
  const reasons = [
    ...(asked.state === 'available' ? [] : [`it is ${asked.state}`]),
    ...(isRunning(asked) ? ['it is still running, or was never finished'] : []),
    ...(base === undefined ? [] : [`it stands on ${base}, which is not available`]),
  ];
  return {
    ...answer,
    target: { incarnation: asked.incarnation, until: asked.consistentFrom },
    rejected: [{ backup: asked.label, reasons }],
  };
}
