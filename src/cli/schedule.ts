import { basename, join, resolve } from 'node:path';
import { ClonaError } from '../errors.ts';
import type { Job } from '../schedule/jobs.ts';
import type { Caller, UnitFile } from '../schedule/units.ts';
import { launcherFile } from './launcher.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    void command
      .option('--systemd', 'print a service and a timer of systemd for each job', false)
      .option('--cron', 'print lines for crontab', false)
      .option('--write <folder>', 'with --systemd: write the units there (/etc/systemd/system)'),
  examples: [
    'clona schedule                        # what runs when, and when next',
    'clona schedule --systemd --write /etc/systemd/system',
    'clona schedule --cron | crontab -',
  ],
  exits: { 6: 'the units cannot be written' },
  run: schedule,
};

async function schedule(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { loadSite } = await import('../site/load.ts');
  const { listJobs } = await import('../schedule/jobs.ts');
  const { crontabText, systemdUnits } = await import('../schedule/units.ts');
  const site = await loadSite(context.sitePath);
  const jobs = listJobs(site);
  const caller: Caller = {
    command: [process.execPath, launcherFile()],
    siteFile: site.file,
    folder: site.folder,
    siteName: site.name,
  };
  const systemd = options['systemd'] === true;
  if (systemd && options['cron'] === true) {
    throw new ClonaError('usage', '--systemd and --cron are two ways to do one thing', {
      hint: 'give one of them',
    });
  }
  if (!systemd && options['write'] !== undefined) {
    throw new ClonaError('usage', '--write belongs to --systemd');
  }
  if (jobs.length === 0 && (systemd || options['cron'] === true)) {
    throw new ClonaError('usage', 'the site file gives no job a time', {
      hint: 'set schedule.backup and the like',
    });
  }
  if (options['cron'] === true) {
    const text = crontabText(jobs, caller, Intl.DateTimeFormat().resolvedOptions().timeZone);
    return { json: { crontab: text }, human: text.trimEnd() };
  }
  if (systemd) return giveUnits(context, systemdUnits(jobs, caller), options['write']);
  return listRuns(jobs);
}

async function giveUnits(
  context: VerbContext,
  units: readonly UnitFile[],
  write: unknown,
): Promise<VerbResult> {
  if (typeof write !== 'string') {
    const human = units.map(({ name, text }) => `# ${name}\n${text}`).join('\n');
    return { json: { units }, human: human.trimEnd() };
  }
  const { writeFiles } = await import('./init/write.ts');
  const files = units.map(({ name, text }) => ({ path: name, content: text }));
  const names = new Set(files.map(({ path }) => path));
  const folder = resolve(write);
  // Units of the same name are ours by their name; --yes says that they may be replaced.
  const written = await writeFiles(folder, files, context.yes ? names : new Set(), context.signal);
  const kept = written.filter(({ state }) => state === 'kept');
  if (kept.length > 0) {
    throw new ClonaError(
      'confirmationMissing',
      `${join(folder, kept[0]?.path ?? '')} is there already and was kept`,
      {
        hint: 'replace it with --yes',
        details: { files: written },
      },
    );
  }
  const timers = units.map(({ name }) => name).filter((name) => name.endsWith('.timer'));
  return {
    json: { files: written.map(({ path }) => join(folder, path)) },
    human: [
      ...written.map(({ path }) => `✔ ${join(folder, path)}`),
      '',
      `systemctl daemon-reload && systemctl enable --now ${timers.map((name) => basename(name)).join(' ')}`,
    ].join('\n'),
  };
}

async function listRuns(jobs: readonly Job[]): Promise<VerbResult> {
  const { nextRun, parseCron } = await import('../site/cron.ts');
  const { layTable } = await import('../recovery/table.ts');
  const now = new Date();
  const rows = jobs.map((job) => {
    const cron = parseCron(job.cron);
    const next = typeof cron === 'string' ? undefined : nextRun(cron, now, job.zone);
    return { ...job, command: `clona ${job.args.join(' ')}`, next: next?.toISOString() ?? null };
  });
  const json = {
    jobs: rows.map(({ name, cron, zone, command, next }) => ({ name, cron, zone, command, next })),
  };
  if (rows.length === 0)
    return { json, human: 'the site file gives no job a time: see schedule in clona.yaml' };
  const table = layTable([
    ['job', 'schedule', 'zone', 'next', 'command'],
    ...rows.map(({ name, cron, zone, next, command }) => [name, cron, zone, next ?? 'never', command]),
  ]);
  return { json, human: table.join('\n') };
}
