import { randomUUID } from 'node:crypto';
import type { Server } from 'node:http';
import { join } from 'node:path';
import { ClonaError } from '../errors.ts';
import type { Job } from '../schedule/jobs.ts';
import { resolveSecret } from '../site/secret.ts';
import type { Site } from '../site/site.ts';
import { openHistory, type History, type ReleaseRequest, type RunRecord } from './history.ts';
import { createHttpServer } from './http.ts';
import { notify, type NotifyEvent } from './notify.ts';
import { runVerb, type VerbCaller, type VerbOutcome } from './run-verb.ts';
import { runSchedule, type Clock } from './scheduler.ts';

export interface ServeOptions {
  site: Site;
  jobs: readonly Job[];
  caller: VerbCaller;
  clock: Clock;
  signal: AbortSignal;
  note: (line: string) => void;
  /** Runs beside the schedule until the signal is aborted: the log archiver. Never throws. */
  beside?: ((signal: AbortSignal) => Promise<void>) | undefined;
  /** Called once it listens. */
  onListening: (address: { host: string; port: number }) => void;
}

interface LastRun {
  at: string;
  exitCode: number | null;
}

/** Runs the schedule and answers HTTP until the signal is aborted; then whatever runs is asked to stop, and awaited. */
export async function serve(options: ServeOptions): Promise<void> {
  const { site, jobs, clock, signal, note } = options;
  const token = site.serve.token === undefined ? undefined : await resolveSecret(site.serve.token);
  const history = await openHistory(join(site.control.directory, 'serve'));
  const last = new Map<string, LastRun>();
  const startedAt = clock.now().toISOString();
  const turns = createTurns();
  const run: Run = async (what, args) => {
    signal.throwIfAborted();
    note(`${clock.now().toISOString()} ${what}: begins`);
    const outcome = await runVerb(options.caller, args, signal);
    last.set(what, { at: outcome.finishedAt, exitCode: outcome.exitCode });
    note(`${outcome.finishedAt} ${what}: exit code ${outcome.exitCode ?? 'none'}`);
    if (!signal.aborted) await tell(site, what, outcome, note);
    return outcome;
  };
  const later = (record: RunRecord): void => {
    turns
      .take(async () => runRelease(record, history, run, signal))
      .catch((error: unknown) => {
        if (!signal.aborted)
          note(`release ${record.id}: ${error instanceof Error ? error.message : String(error)}`);
      });
  };
  const server = createHttpServer({
    token,
    note,
    find: history.get,
    accept: async (request) => {
      const record = await acceptRelease(request, history);
      later(record);
      return record;
    },
    health: () => ({
      ok: [...last.values()].every(({ exitCode }) => exitCode === 0 || exitCode === 3 || exitCode === 7),
      site: site.name,
      since: startedAt,
      last: Object.fromEntries(last),
    }),
  });
  const open = await history.listOpen();
  // Whoever gets to listen is the only one of this site: what ran before it has ended.
  options.onListening(await listen(server, site.serve.listen));
  for (const record of open) {
    if (record.state === 'waiting') later(record);
    else await history.put({ ...record, state: 'interrupted' });
  }
  try {
    const onJob = async (job: Job): Promise<void> => {
      await turns
        .take(async () => run(job.name, job.args))
        .catch((error: unknown) => {
          if (!signal.aborted) throw error;
        });
    };
    await Promise.all([runSchedule(jobs, onJob, clock, signal), options.beside?.(signal)]);
  } finally {
    const closed = new Promise((resolve) => void server.close(resolve));
    server.closeAllConnections();
    await Promise.all([closed, turns.ended()]);
  }
}

/** One verb at a time: they lock the site, and a night's work is done in order. */
function createTurns(): {
  take: <Result>(work: () => Promise<Result>) => Promise<Result>;
  ended: () => Promise<unknown>;
} {
  let queue: Promise<unknown> = Promise.resolve();
  return {
    take: async (work) => {
      const mine = queue.then(work);
      queue = mine.catch(() => {});
      return mine;
    },
    ended: () => queue,
  };
}

type Run = (what: string, args: readonly string[]) => Promise<VerbOutcome>;

async function acceptRelease(request: ReleaseRequest, history: History): Promise<RunRecord> {
  const record: RunRecord = {
    id: randomUUID(),
    request,
    state: 'waiting',
    acceptedAt: new Date().toISOString(),
    outcome: null,
  };
  // Written before it is answered: who was told 202 finds it, whatever happens next.
  await history.put(record);
  return record;
}

/** A release that the end of clona serve keeps from beginning stays `waiting`, and begins with the next start. */
async function runRelease(record: RunRecord, history: History, run: Run, signal: AbortSignal): Promise<void> {
  signal.throwIfAborted();
  const { kit, sha256 } = record.request;
  // One word each, so that no kit can be read as an option.
  const args = ['release', `--kit=${kit}`, ...(sha256 === undefined ? [] : [`--hash=${sha256}`]), '--yes'];
  await history.put({ ...record, state: 'running' });
  const outcome = await run('release', args);
  const state = outcome.exitCode === 0 ? 'done' : signal.aborted ? 'interrupted' : 'failed';
  await history.put({ ...record, state, outcome });
}

async function listen(server: Server, address: string): Promise<{ host: string; port: number }> {
  const at = address.lastIndexOf(':');
  const host = address.slice(0, at).replace(/^\[|\]$/g, '');
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause: NodeJS.ErrnoException) => {
      const taken = cause.code === 'EADDRINUSE';
      reject(
        new ClonaError(
          taken ? 'locked' : 'usage',
          taken ? `something listens on ${address} already` : `${address} cannot be listened on`,
          {
            cause,
            hint: taken ? 'perhaps clona serve runs already; else set serve.listen' : 'set serve.listen',
          },
        ),
      );
    });
    server.listen({ host, port: Number(address.slice(at + 1)) }, resolve);
  });
  const bound = server.address();
  return { host, port: typeof bound === 'object' && bound !== null ? bound.port : 0 };
}

const failureEvents: Readonly<Record<string, NotifyEvent>> = {
  backup: 'backupFailed',
  refresh: 'refreshFailed',
  prove: 'proofFailed',
  retention: 'retentionFailed',
  destroy: 'destroyFailed',
};

/** What a night's work has to tell. A release and the gate tell their own. */
async function tell(
  site: Site,
  what: string,
  outcome: VerbOutcome,
  note: (line: string) => void,
): Promise<void> {
  const event = failureEvents[what];
  // 7: another run had the site; the next night comes.
  if (event === undefined || outcome.exitCode === 0 || outcome.exitCode === 7) return;
  await notify(
    site,
    {
      event,
      site: site.name,
      at: outcome.finishedAt,
      text: `clona: ${what} of ${site.name} ended with exit code ${outcome.exitCode ?? 'none'}`,
      details: outcome.answer,
    },
    note,
  );
}
