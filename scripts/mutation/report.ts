import { readFileSync, writeFileSync } from 'node:fs';
import { stringify } from 'yaml';
import type { MutationConfig } from './config.ts';
import { covers, findReason, readReasons, type Reason } from './reasons.ts';
import {
  isSurvivor,
  listSurvivors,
  readResult,
  scoreOf,
  tally,
  type FileResult,
  type Survivor,
} from './results.ts';
import { layTables } from './tables.ts';

const page = 'docs/mutation.md';

/**
 * Writes the tables of docs/mutation.md from what was measured, and says what is wrong: files that changed since or were
 * never measured, a folder below the threshold, survivors without a reason, reasons without a survivor. True: nothing.
 */
export function report(files: readonly string[], { breakAt, results }: MutationConfig): boolean {
  const problems: string[] = [];
  const measured: FileResult[] = [];
  for (const file of files) {
    const result = readResult(results, file);
    if (result === null) problems.push(`${file} was never measured`);
    else if (result.source !== readFileSync(file, 'utf8'))
      problems.push(`${file} changed since it was measured`);
    if (result !== null) measured.push(result);
  }
  const reasons = readReasons();
  const survivors = measured.flatMap((result) => listSurvivors(result));
  const explained = survivors.map((survivor) => ({ survivor, reason: findReason(reasons, survivor) }));
  const unexplained = explained.filter(({ reason }) => reason === undefined).map(({ survivor }) => survivor);
  if (unexplained.length > 0) {
    problems.push(`${unexplained.length} survivors without a reason:\n${skeleton(unexplained)}`);
  }
  problems.push(...findIdle(reasons, measured));
  for (const [folder, score] of scoreFolders(measured)) {
    console.log(`${folder}: ${score.toFixed(1)} %`);
    if (score < breakAt) problems.push(`${folder} is below ${breakAt} %`);
  }
  fillPage(layTables(measured, explained));
  for (const problem of problems) console.error(problem);
  return problems.length === 0;
}

const folderOf = (file: string): string => file.split('/').slice(0, 2).join('/');

function scoreFolders(measured: readonly FileResult[]): [string, number][] {
  return [...Map.groupBy(measured, ({ file }) => folderOf(file))].map(([folder, results]) => [
    folder,
    scoreOf(tally(results.flatMap(({ mutants }) => mutants))),
  ]);
}

/** What only makes things slow is stopped on one day and survives on another: a reason for it is never idle. */
function findIdle(reasons: readonly Reason[], measured: readonly FileResult[]): string[] {
  const survivors = measured.flatMap((result) =>
    listSurvivors(result, (mutant) => isSurvivor(mutant) || mutant.status === 'Timeout'),
  );
  return reasons
    .filter(({ file }) => measured.some((result) => result.file === file))
    .filter((reason) => !survivors.some((survivor) => covers(reason, survivor)))
    .map(
      ({ file, becomes }) => `a reason in survivors.yaml is idle, a test notices now: ${file}: ${becomes}`,
    );
}

/** As survivors.yaml wants it, but for the reason. */
function skeleton(survivors: readonly Survivor[]): string {
  const byFile = Map.groupBy(survivors, ({ file }) => file);
  return stringify(
    [...byFile].map(([file, list]) => ({
      file,
      why: '?',
      mutants: list.map(({ code, becomes }) => ({ code, becomes })),
    })),
    { lineWidth: 0 },
  );
}

function fillPage(tables: string): void {
  const text = readFileSync(page, 'utf8');
  const marker = '<!-- generated -->\n';
  const kept = text.slice(0, text.indexOf(marker) + marker.length);
  writeFileSync(page, `${kept}\n${tables}`);
}
