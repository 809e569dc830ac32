import { ClonaError } from '../errors.ts';
import type { PlanAnswer } from './answer.ts';
import type { Backup, Catalog } from './catalog.ts';
import { isBetter } from './choose.ts';
import { readCoverage, type Coverage } from './coverage.ts';
import { readLineage, tracePath, type Lineage, type Path } from './lineage.ts';
import type { Position } from './position.ts';
import type { Question } from './question.ts';
import { positionAt } from './resolve-time.ts';
import { findBroken, isWhole, reachOf, type Reach, type WholeBackup } from './serve.ts';

/** One question on one path, with all that is needed to answer it. */
export interface Search {
  catalog: Catalog;
  question: Question;
  lineage: Lineage;
  path: Path;
  coverage: Coverage;
  /** Candidates: all backups, or the one asked for. */
  backups: readonly Backup[];
  broken: ReadonlyMap<string, string>;
}

/** A backup that serves something on the path, and what. */
export interface Candidate {
  backup: WholeBackup;
  reach: Reach;
}

export function startSearch(catalog: Catalog, question: Question): Search {
  const { until, lost } = question;
  const lineage = readLineage(catalog);
  let backups: readonly Backup[] = catalog.backups;
  let end = catalog.currentIncarnation;
  if (until.kind === 'incarnation') end = until.incarnation;
  if (until.kind === 'backup') {
    const asked = catalog.backups.find(({ label }) => label === until.label);
    if (asked === undefined) {
      throw new ClonaError('questionInvalid', `there is no backup "${until.label}" in the catalog`);
    }
    backups = [asked];
    end = asked.incarnation;
  }
  const path = tracePath(lineage, end);
  const coverage = readCoverage(catalog, path, lost);
  return { catalog, question, lineage, path, coverage, backups, broken: findBroken(catalog.backups) };
}

export function findCandidates({ backups, broken, coverage }: Search): Candidate[] {
  const candidates: Candidate[] = [];
  for (const backup of backups) {
    if (backup.state !== 'available' || broken.has(backup.label) || !isWhole(backup)) continue;
    const reach = reachOf(backup, coverage, 'usable');
    if (reach !== null) candidates.push({ backup, reach });
  }
  return candidates;
}

/** null: no position answers the question. */
export function resolveUntil(
  { question, backups, coverage }: Search,
  candidates: readonly Candidate[],
): Position | null {
  const { until } = question;
  switch (until.kind) {
    case 'position':
      return until.position;
    case 'time':
      return positionAt(coverage, until.instantMs);
    case 'backup':
      return backups[0]!.consistentFrom; // startSearch found it
    case 'incarnation':
      return until.position ?? highestReached(candidates);
    case 'latest':
      return highestReached(candidates);
  }
}

function highestReached(candidates: readonly Candidate[]): Position | null {
  let highest: Position | null = null;
  for (const { reach } of candidates) if (highest === null || reach.to > highest) highest = reach.to;
  return highest;
}

export function serves({ reach }: Candidate, until: Position): boolean {
  return reach.from <= until && until <= reach.to;
}

export function choose(candidates: readonly Candidate[], until: Position): WholeBackup | null {
  let best: WholeBackup | null = null;
  for (const candidate of candidates) {
    if (!serves(candidate, until)) continue;
    if (best === null || isBetter(candidate.backup, best)) best = candidate.backup;
  }
  return best;
}

/** A14. Without a position only a time before all that is known has something above it (A13). */
export function findNearest(candidates: readonly Candidate[], until: Position | null): PlanAnswer['nearest'] {
  let below: Position | null = null;
  let above: Position | null = null;
  for (const { reach } of candidates) {
    if (until !== null && reach.to < until && (below === null || reach.to > below)) below = reach.to;
    if ((until === null || reach.from > until) && (above === null || reach.from < above)) above = reach.from;
  }
  return { below, above };
}
