import { parseCron, type Cron } from '../site/cron.ts';
import type { Job } from './jobs.ts';

/** How clona is called on this host. */
export interface Caller {
  /** node and the launcher, absolute. */
  command: readonly string[];
  /** The site file, absolute, and its folder. */
  siteFile: string;
  folder: string;
  siteName: string;
}

export interface UnitFile {
  name: string;
  text: string;
}

/** A service and a timer for each job. Sources: systemd.timer(5), systemd.time(7), systemd.service(5). */
export function systemdUnits(jobs: readonly Job[], caller: Caller): UnitFile[] {
  return jobs.flatMap((job) => {
    const unit = `clona-${caller.siteName}-${job.name}`;
    return [
      { name: `${unit}.service`, text: serviceText(job, caller) },
      { name: `${unit}.timer`, text: timerText(job, caller) },
    ];
  });
}

function serviceText(job: Job, caller: Caller): string {
  const argv = [...caller.command, ...job.args, '--site', caller.siteFile];
  return `[Unit]
Description=clona ${job.name} of ${caller.siteName}
After=network-online.target

[Service]
Type=oneshot
WorkingDirectory=${escapePercent(caller.folder)}
# Secrets that the site file refers to as env:NAME, one NAME=value a line, mode 600.
EnvironmentFile=-${escapePercent(caller.folder)}/clona.env
ExecStart=${argv.map(quoteForSystemd).join(' ')}
# 3: the gate is closed, an answer and no failure.
SuccessExitStatus=3
TimeoutStopSec=5min
`;
}

function timerText(job: Job, caller: Caller): string {
  const cron = parseCron(job.cron);
  if (typeof cron === 'string') throw new TypeError(`the site file let ${job.cron} pass: ${cron}`);
  const times = calendarLines(cron, job.zone).map((line) => `OnCalendar=${line}`);
  return `[Unit]
Description=clona ${job.name} of ${caller.siteName}: ${job.cron} ${job.zone}

[Timer]
${times.join('\n')}
Persistent=true

[Install]
WantedBy=timers.target
`;
}

/** The schedule as systemd.time(7) writes it. Two lines where crontab(5) means "either of the two day fields". */
export function calendarLines(cron: Cron, zone: string): string[] {
  const weekdays = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];
  const named = weekdays.filter((_, number) => cron.weekdays.has(number)).join(',');
  const months = listOrStar(cron.months, 12);
  const days = listOrStar(cron.days, 31);
  const time = `${listOrStar(cron.hours, 24)}:${listOrStar(cron.minutes, 60)}:00 ${zone}`;
  const onDays = `*-${months}-${days} ${time}`;
  if (cron.weekdays.size === 7) return [onDays];
  return cron.eitherDay ? [onDays, `${named} *-${months}-* ${time}`] : [`${named} ${onDays}`];
}

function listOrStar(values: ReadonlySet<number>, all: number): string {
  if (values.size === all) return '*';
  return [...values]
    .sort((left, right) => left - right)
    .map((value) => String(value).padStart(2, '0'))
    .join(',');
}

/** In double quotes, where systemd.service(5) takes backslashes as C does; % and $ are doubled. */
function quoteForSystemd(word: string): string {
  if (/^[\w@+=:,./-]+$/.test(word)) return word;
  const escaped = word.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('$', '$$$$');
  return `"${escapePercent(escaped)}"`;
}

function escapePercent(text: string): string {
  return text.replaceAll('%', '%%');
}

/** Lines for crontab(1). CRON_TZ is known to cronie; other crons take the system's own zone, so that is said. */
export function crontabText(jobs: readonly Job[], caller: Caller, systemZone: string): string {
  const lines = [`# clona, site ${caller.siteName}`];
  for (const job of jobs) {
    const argv = [...caller.command, ...job.args, '--site', caller.siteFile];
    const command = argv.map(quoteForShell).join(' ').replaceAll('%', '\\%');
    if (job.zone !== systemZone) {
      lines.push(
        `# the clock of ${job.zone}: needs a cron that knows CRON_TZ (cronie), else it is that of ${systemZone}`,
      );
      lines.push(`CRON_TZ=${job.zone}`);
    }
    lines.push(`${job.cron} cd ${quoteForShell(caller.folder).replaceAll('%', '\\%')} && ${command}`);
  }
  return `${lines.join('\n')}\n`;
}

/** crontab(5) hands the line to sh of this host; it is no guest's shell, so src/guest does not quote it. */
function quoteForShell(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`;
}
