/** A process of its own for a site's vitest files: it takes one order by IPC, tells each test, and ends. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import {
  startVitest,
  type Reporter,
  type SerializedError,
  type TestCase,
  type TestModule,
} from 'vitest/node';
import type { SmokeMachine } from './machine.ts';

export interface ChildOrder {
  directory: string;
  /** Relative to directory. */
  files: string[];
  machine: SmokeMachine;
}

/** One test, or (name null) a file that could not be run. */
export interface ChildTest {
  file: string;
  name: string | null;
  state: 'passed' | 'failed' | 'skipped';
  seconds: number;
  detail: string | null;
}

export type ChildMessage = { kind: 'test'; test: ChildTest } | { kind: 'end'; errors: string[] };

const longestDetail = 4000;

async function run({ directory, files, machine }: ChildOrder): Promise<void> {
  const cacheDir = await mkdtemp(join(tmpdir(), 'clona-smoke-'));
  const modules = fileURLToPath(new URL('.', import.meta.url));
  try {
    await startVitest(
      files.map((file) => join(directory, file)),
      {
        root: directory,
        config: false,
        watch: false,
        include: files,
        reporters: [createReporter(directory)],
        provide: { clonaMachine: machine },
        // One machine is under test: its tests take turns, in threads that end with this process.
        pool: 'threads',
        maxWorkers: 1,
        fileParallelism: false,
        testTimeout: 60_000,
        hookTimeout: 60_000,
        passWithNoTests: true,
        server: { deps: { inline: [modules] } },
      },
      {
        cacheDir,
        envDir: false,
        logLevel: 'silent',
        resolve: { alias: [{ find: /^clona\/smoke$/, replacement: ownFile('./fixture.ts') }] },
      },
    );
  } finally {
    await rm(cacheDir, { recursive: true, force: true });
  }
}

/** From the sources fixture.ts, from the built package fixture.js. */
function ownFile(name: string): string {
  const path = fileURLToPath(new URL(name, import.meta.url));
  return import.meta.url.endsWith('.js') ? path.replace(/\.ts$/, '.js') : path;
}

function createReporter(directory: string): Reporter {
  const nameOf = (module: TestModule): string => relative(directory, module.moduleId).replaceAll('\\', '/');
  return {
    onTestCaseResult: (test) => send({ kind: 'test', test: toChildTest(test, nameOf(test.module)) }),
    onTestRunEnd: (modules, errors) => {
      for (const module of modules) tellModule(module, nameOf(module));
      send({ kind: 'end', errors: errors.map(showError) });
    },
  };
}

function toChildTest(test: TestCase, file: string): ChildTest {
  const result = test.result();
  const detail =
    result.state === 'failed'
      ? result.errors.map(showError).join('\n')
      : result.state === 'skipped'
        ? (result.note ?? 'skipped')
        : null;
  const state = result.state === 'pending' ? 'failed' : result.state;
  return { file, name: test.fullName, state, seconds: (test.diagnostic()?.duration ?? 0) / 1000, detail };
}

/** Errors outside of tests (import, hooks), and files without any test, would otherwise pass unseen. */
function tellModule(module: TestModule, file: string): void {
  const suites = [...module.children.allSuites()];
  const errors = [...module.errors(), ...suites.flatMap((suite) => suite.errors())];
  const empty = errors.length === 0 && [...module.children.allTests()].length === 0;
  if (errors.length === 0 && !empty) return;
  const detail = empty ? 'the file holds no test' : errors.map(showError).join('\n');
  send({ kind: 'test', test: { file, name: null, state: 'failed', seconds: 0, detail } });
}

function showError(error: SerializedError): string {
  const text = [error.message, typeof error.diff === 'string' ? error.diff : ''].filter(
    (part) => part !== '',
  );
  return stripVTControlCharacters(text.join('\n')).slice(0, longestDetail);
}

function send(message: ChildMessage): void {
  process.send?.(message);
}

process.once('message', (order: ChildOrder) => {
  // Without the parent nobody wants the answer.
  process.once('disconnect', () => process.exit(1));
  run(order).then(
    () => process.disconnect(),
    (error: unknown) => {
      send({
        kind: 'end',
        errors: [error instanceof Error ? (error.stack ?? error.message) : String(error)],
      });
      process.disconnect();
    },
  );
});
