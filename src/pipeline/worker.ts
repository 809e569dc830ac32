import { AsyncLocalStorage } from 'node:async_hooks';
import { DBOS, type DLogger } from '@dbos-inc/dbos-sdk';
import { registerInternalQueue } from '@dbos-inc/dbos-sdk/eventreceiver';
import { Pool } from 'pg';
import type { Control } from '../control/control.ts';
import type { Ledger } from '../control/ledger.ts';
import { acquireSiteLock } from '../control/lock.ts';
import { workflowSchemaName } from '../control/schema.ts';
import type { GatePolicy } from '../gate/facts.ts';
import type { OnProgress } from '../progress.ts';
import { createDeferred, type Deferred } from './deferred.ts';
import type { Operations } from './operations.ts';

/**
 * DBOS recovers only workflows of its own executor and application version, and takes both from the host and from
 * a hash of the sources unless told. These two are told, and stay: a release waits for signatures across restarts
 * on other hosts and across upgrades of clona. One worker at a time has a site (its lock), so that the one
 * executor never runs twice. The version changes only with a change that a waiting workflow cannot follow.
 */
export const executorId = 'clona';
export const pipelineVersion = 'pipeline-1';

export interface WorkerOptions {
  site: string;
  control: Control;
  ledger: Ledger;
  operations: Operations;
  policy: GatePolicy;
  /** How long a release waits for words before it looks at the ledger by itself, in milliseconds. */
  signal: AbortSignal;
  onProgress: OnProgress;
  now: () => Date;
}

/** The one process that carries out the workflows of a site, while it has the site's lock. */
export interface Worker extends WorkerOptions, AsyncDisposable {
  /** Aborted when the lock was lost or the worker closed: nothing of it may go on. */
  ended: AbortSignal;
  /** Settles when the release has come to where it waits for people. */
  waiting: (release: string) => Deferred<void>;
  /** What was interrupted has been taken up: from now on DBOS looks for more at its own pace. */
  calmDown: () => void;
}

/** Where DBOS puts the workflows that it recovers: it looks there a second after its launch, and then every second. */
const recoveryQueue = '_dbos_internal_queue';
const recoveryPaceMs = 25;
const usualPaceMs = 1000;

let current: Worker | null = null;
const owner = new AsyncLocalStorage<Worker>();

/** The worker that the workflow at hand belongs to. A workflow of a closed worker never gets on. */
export async function currentWorker(): Promise<Worker> {
  const worker = owner.getStore() ?? current;
  if (worker !== null && !worker.ended.aborted) return worker;
  return new Promise<Worker>(() => {});
}

/**
 * A workflow stays with the worker that began to carry it out, also when this process opens another one: that one has
 * its own copy of the workflow, recovered, and what is left of the first must neither act nor say how it ended.
 */
export function owned<Input, Result>(
  workflow: (input: Input) => Promise<Result>,
): (input: Input) => Promise<Result> {
  return async (input) => {
    const worker = await currentWorker();
    try {
      return await owner.run(worker, async () => workflow(input));
    } catch (thrown) {
      if (worker.ended.aborted) return new Promise<never>(() => {});
      throw thrown;
    }
  };
}

export async function openWorker(
  options: WorkerOptions,
  run: { who: string; what: string },
): Promise<Worker> {
  await using stack = new AsyncDisposableStack();
  const lock = stack.use(await acquireSiteLock(options.control, run, options.now()));
  const closed = new AbortController();
  const waiting = new Map<string, Deferred<void>>();
  const pool = new Pool(poolOptions(options.control));
  // An idle session that breaks is not news: the next query says it.
  pool.on('error', () => {});
  stack.defer(async () => pool.end());
  // People who sign wait for it. Registered before the launch, it is the one that DBOS takes.
  const recovering = registerInternalQueue(recoveryQueue, {});
  recovering.minPollingIntervalMs = recoveryPaceMs;
  const worker: Worker = {
    ...options,
    ended: AbortSignal.any([closed.signal, lock.lost]),
    waiting: (release) => {
      const found = waiting.get(release) ?? createDeferred<void>();
      waiting.set(release, found);
      return found;
    },
    calmDown: () => {
      recovering.minPollingIntervalMs = usualPaceMs;
    },
    [Symbol.asyncDispose]: async () => opened.disposeAsync(),
  };
  // Registers the workflows before the launch recovers those that wait.
  await import('./workflows.ts');
  DBOS.setConfig({
    name: 'clona',
    systemDatabasePool: pool,
    systemDatabaseUrl: unusedUrl,
    systemDatabaseSchemaName: workflowSchemaName(options.site),
    applicationVersion: pipelineVersion,
    executorID: executorId,
    enableOTLP: false,
    logger: silentLogger,
  });
  current = worker;
  stack.defer(() => {
    closed.abort();
    current = null;
  });
  await DBOS.launch();
  stack.defer(async () => DBOS.shutdown());
  // First of all: what a shutdown breaks off must not look like a failure of the run, which goes on elsewhere.
  stack.defer(() => closed.abort());
  const opened = stack.move();
  return worker;
}

/** DBOS demands an address beside the pool; only the pool connects. */
export const unusedUrl = 'postgresql://pool@localhost/clona';

export function poolOptions(control: Control): ConstructorParameters<typeof Pool>[0] {
  const { host, port, user, password, database } = control.address;
  return { host, port, user, password, database, max: 6, application_name: 'clona workflows' };
}

const silentLogger: DLogger = { info: () => {}, debug: () => {}, warn: () => {}, error: () => {} };
