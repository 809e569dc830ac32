import type { Site } from '../site/site.ts';
import { confirmChange } from './confirm.ts';
import { launcherFile } from './launcher.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    void command
      .option('--listen <address>', 'host:port, in place of serve.listen')
      .option('--without-log', 'leave the log to another archiver', false)
      .option(
        '--drop-slots',
        'drop the slots by which production keeps log for clona, and end; with --yes',
        false,
      ),
  examples: [
    'clona serve',
    'clona serve --listen 127.0.0.1:8020',
    'clona serve --drop-slots --yes',
    'clona serve --site erp/clona.yaml >> serve.log 2>&1',
  ],
  exits: {
    6: 'with --drop-slots: production does not answer',
    7: 'something listens on that address already, or a slot is being read',
    143: 'ended by SIGTERM, as services are',
  },
  run: async (context, options) => runServe(context, options),
};

async function runServe(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { loadSite } = await import('../site/load.ts');
  const { listJobs } = await import('../schedule/jobs.ts');
  const { serve } = await import('../serve/serve.ts');
  const { systemClock } = await import('../serve/scheduler.ts');
  const site = await loadSite(context.sitePath);
  if (options['dropSlots'] === true) return dropSlots(context, site);
  const listen = options['listen'];
  if (typeof listen === 'string') site.serve.listen = listen;
  const jobs = listJobs(site);
  const { note, signal } = context;
  if (jobs.length === 0) note('serve: the site file gives no job a time (schedule)');
  if (site.serve.token === undefined) note('serve: the HTTP trigger is off (serve.token)');
  const { keepArchiving } = await import('../serve/keep-archiving.ts');
  const { keepZone } = await import('../serve/keep-zone.ts');
  const keepsLog = options['withoutLog'] !== true;
  // Oracle archives its log itself.
  const isOracle = site.database.engine === 'oracle';
  const { keepReceiving } = await import('../serve/keep-receiving.ts');
  const { receivesLog, streamsLog } = await import('../pipeline/log-streams.ts');
  const moves = streamsLog(site) ? [] : [keepArchiving];
  const receives = receivesLog(site) ? [keepReceiving] : [];
  const { dropSlotsOnce } = await import('../serve/drop-left-slots.ts');
  const { keepStarted } = await import('../serve/keep-started.ts');
  const ofPostgres = [keepStarted, dropSlotsOnce, ...moves, keepZone, ...receives];
  const besides = !keepsLog ? [] : isOracle ? [keepZone] : ofPostgres;
  await serve({
    site,
    jobs,
    caller: { command: [process.execPath, launcherFile()], siteFile: site.file, folder: site.folder },
    clock: systemClock,
    signal,
    note,
    beside: async () => {
      await Promise.all(besides.map(async (keep) => keep(site, { clock: systemClock, signal, note })));
    },
    onListening: ({ host, port }) =>
      note(`serve: listens on http://${host.includes(':') ? `[${host}]` : host}:${port}`),
  });
  // It ends by a signal only: the answer is that signal's exit code.
  signal.throwIfAborted();
  return { json: {}, human: '' };
}

/** For the day when clona serve runs no more: without a reader a slot keeps log until max_slot_wal_keep_size is passed. */
async function dropSlots(context: VerbContext, site: Site): Promise<VerbResult> {
  const { describeLeftSlot, dropAllSlots } = await import('../pipeline/left-slots.ts');
  await confirmChange(context, 'production keeps no log for clona any more: drop its slots now?');
  const dropped = await dropAllSlots(site, context.signal);
  const human = dropped.map((slot) => `dropped: ${describeLeftSlot(slot)}`);
  return {
    json: { dropped },
    human: human.length === 0 ? 'production has no slot of clona' : human.join('\n'),
  };
}
