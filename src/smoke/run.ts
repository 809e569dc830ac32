import { resolve } from 'node:path';
import { ClonaError } from '../errors.ts';
import { sameName } from '../gate/signing.ts';
import { openGuest } from '../guest/open.ts';
import { silent, type OnProgress } from '../progress.ts';
import { findSmokeFiles, type SmokeFile } from './files.ts';
import type { SmokeMachine } from './machine.ts';
import { failedNames, summarize, type SmokeReport, type SmokeTest } from './report.ts';
import { runSqlChecks } from './run-sql-checks.ts';
import { runVitestFiles } from './run-vitest.ts';

export interface SmokeOptions {
  /** Folder of `*.smoke.ts` and `*.sql`. */
  directory: string;
  machine: SmokeMachine;
  /** Only these; default: all. */
  departments?: readonly string[] | undefined;
  /** For all tests together; default ten minutes. */
  timeoutMs?: number | undefined;
  signal: AbortSignal;
  onProgress?: OnProgress | undefined;
}

const defaultTimeoutMs = 600_000;

/**
 * Runs a site's smoke tests against one machine. A failed test is an answer (in the report); thrown is what
 * hinders an answer: no tests, no database, tests that do not end in time (`smokeFailed`).
 */
export async function runSmoke(options: SmokeOptions): Promise<SmokeReport> {
  const { machine, onProgress = silent, timeoutMs = defaultTimeoutMs } = options;
  const directory = resolve(options.directory);
  const startedAt = new Date().toISOString();
  const { files, checksHash } = await findSmokeFiles(directory);
  const chosen = chooseFiles(files, options.departments);
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(timeoutError(timeoutMs)), timeoutMs);
  const signal = AbortSignal.any([options.signal, timeout.signal]);
  const tests: SmokeTest[] = [];
  const onTest = (test: SmokeTest): void => {
    tests.push(test);
    const state = test.state === 'passed' ? 'done' : test.state;
    const detail = test.detail?.split('\n')[0];
    onProgress({ step: `smoke: ${test.department}: ${test.name}`, state, detail });
  };
  try {
    const sql = chosen.filter(({ kind }) => kind === 'sql');
    const vitest = chosen.filter(({ kind }) => kind === 'vitest');
    for (const file of sql) await runSqlChecks(directory, file, machine, onTest, signal);
    if (vitest.length > 0) await requireAnswer(machine, signal);
    await runVitestFiles(directory, vitest, machine, onTest, signal);
  } finally {
    clearTimeout(timer);
  }
  const about = { machine: { name: machine.name, role: machine.role }, checksHash, startedAt };
  return summarize(tests, { ...about, finishedAt: new Date().toISOString() });
}

/** A machine that is gone fails no test of the application: that it does not answer is said by itself (exit 6). */
async function requireAnswer({ guest }: SmokeMachine, signal: AbortSignal): Promise<void> {
  if (guest === null) return;
  await using _ = await openGuest(guest, signal);
}

function chooseFiles(files: readonly SmokeFile[], departments: readonly string[] | undefined): SmokeFile[] {
  if (departments === undefined) return [...files];
  const known = new Set(files.map(({ department }) => department));
  for (const name of departments) {
    if ([...known].some((one) => sameName(one, name))) continue;
    throw new ClonaError('usage', `there are no smoke tests of the department "${name}"`, {
      hint: `there are tests of: ${[...known].sort().join(', ')}`,
    });
  }
  return files.filter(({ department }) => departments.some((name) => sameName(name, department)));
}

function timeoutError(timeoutMs: number): ClonaError {
  return new ClonaError('smokeFailed', `the smoke tests did not end within ${timeoutMs / 1000} s`, {
    hint: 'give them more time in the site file: smoke.timeout',
  });
}

/** The report as the error that ends a release with exit 4, naming each failed test with its department. */
export function requireSmoke(report: SmokeReport): void {
  const failed = failedNames(report);
  if (failed.length === 0 && report.passed > 0) return;
  const named = failed.length === 0 ? 'no smoke test ran' : failed.slice(0, 5).join('; ');
  const more = failed.length > 5 ? ` and ${failed.length - 5} more` : '';
  throw new ClonaError(
    'smokeFailed',
    `${report.failed} smoke tests failed on ${report.machine.name}: ${named}${more}`,
    {
      details: { failed },
    },
  );
}
