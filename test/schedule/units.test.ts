import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { parseCron } from '../../src/site/cron.ts';
import { calendarLines, crontabText, systemdUnits, type Caller } from '../../src/schedule/units.ts';
import type { Job } from '../../src/schedule/jobs.ts';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
const hasSystemd = spawnSync('systemd-analyze', ['--version']).status === 0;

const caller: Caller = {
  command: ['/opt/node 24/bin/node', '/opt/clona/bin/clona.js'],
  siteFile: '/srv/50%/clona.yaml',
  folder: '/srv/50%',
  siteName: 'erp',
};
const jobs: Job[] = [
  { name: 'backup', cron: '30 1 * * mon-fri', zone: 'Europe/Sarajevo', args: ['backup', '--yes'] },
];

function calendar(text: string): string[] {
  const cron = parseCron(text);
  if (typeof cron === 'string') throw new Error(cron);
  return calendarLines(cron, 'UTC');
}

describe('systemd', () => {
  test.each([
    ['30 2 * * *', ['*-*-* 02:30:00 UTC']],
    ['*/20 6-7 * * mon-wed', ['Mon,Tue,Wed *-*-* 06,07:00,20,40:00 UTC']],
    ['0 0 1 1,7 *', ['*-01,07-01 00:00:00 UTC']],
    ['0 12 1 * mon', ['*-*-01 12:00:00 UTC', 'Mon *-*-* 12:00:00 UTC']],
    ['* * * * *', ['*-*-* *:*:00 UTC']],
  ])('is told %s in its own words', (cron, expected) => {
    expect(calendar(cron)).toEqual(expected);
  });

  test.skipIf(!hasSystemd)('understands every such line (systemd-analyze)', () => {
    for (const cron of ['30 2 * * *', '*/20 6-7 * * mon-wed', '0 12 1 * mon', '* * * * *', '0 0 29 2 *']) {
      for (const line of calendar(cron)) {
        expect(spawnSync('systemd-analyze', ['calendar', line]).status).toBe(0);
      }
    }
  });

  test('gets a service and a timer for a job, with awkward words quoted its way', () => {
    const [service, timer] = systemdUnits(jobs, caller);
    expect(service?.name).toBe('clona-erp-backup.service');
    expect(service?.text).toContain(
      'ExecStart="/opt/node 24/bin/node" /opt/clona/bin/clona.js backup --yes --site "/srv/50%%/clona.yaml"',
    );
    expect(timer?.name).toBe('clona-erp-backup.timer');
    expect(timer?.text).toContain('OnCalendar=Mon,Tue,Wed,Thu,Fri *-*-* 01:30:00 Europe/Sarajevo\n');
  });
});

describe('cron', () => {
  test('gets a line for a job, with its zone where that is not the system’s, and % escaped', () => {
    expect(crontabText(jobs, caller, 'UTC').split('\n').slice(2)).toEqual([
      'CRON_TZ=Europe/Sarajevo',
      "30 1 * * mon-fri cd /srv/50\\% && '/opt/node 24/bin/node' /opt/clona/bin/clona.js backup --yes --site /srv/50\\%/clona.yaml",
      '',
    ]);
    expect(crontabText(jobs, caller, 'Europe/Sarajevo')).not.toContain('CRON_TZ');
  });
});

describe('clona schedule', () => {
  const play = (
    work: (
      run: (...args: string[]) => { status: number | null; stdout: string; stderr: string },
      folder: string,
    ) => void,
  ) => {
    const folder = mkdtempSync(join(tmpdir(), 'clona-schedule-'));
    try {
      writeFileSync(
        join(folder, 'clona.yaml'),
        "name: erp\narchive: { location: a }\nschedule: { backup: '0 1 * * *', prove: '0 5 * * sun' }\n",
      );
      work(
        (...args) =>
          spawnSync(process.execPath, [launcher, 'schedule', ...args], { cwd: folder, encoding: 'utf8' }),
        folder,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  };

  test('lists what runs when, and when next', () => {
    play((run) => {
      const { status, stdout } = run('--json');
      expect(status).toBe(0);
      const { jobs: listed } = JSON.parse(stdout) as { jobs: { name: string; next: string }[] };
      expect(listed.map(({ name }) => name)).toEqual(['backup', 'prove']);
      for (const { next } of listed) expect(Date.parse(next)).toBeGreaterThan(Date.now());
    });
  });

  test('writes units where it is told to, and replaces them only with --yes', () => {
    play((run, folder) => {
      expect(run('--systemd', '--write', 'units').status).toBe(0);
      expect(readdirSync(join(folder, 'units')).sort((a, b) => a.localeCompare(b))).toEqual([
        'clona-erp-backup.service',
        'clona-erp-backup.timer',
        'clona-erp-prove.service',
        'clona-erp-prove.timer',
      ]);
      writeFileSync(join(folder, 'units/clona-erp-prove.timer'), 'mine');
      expect(run('--systemd', '--write', 'units').status).toBe(2);
      expect(readFileSync(join(folder, 'units/clona-erp-prove.timer'), 'utf8')).toBe('mine');
      expect(run('--systemd', '--write', 'units', '--yes').status).toBe(0);
      expect(readFileSync(join(folder, 'units/clona-erp-prove.timer'), 'utf8')).toContain('OnCalendar=');
    });
  });

  test('refuses two formats at once, and --write without units', () => {
    play((run) => {
      expect(run('--systemd', '--cron').status).toBe(2);
      expect(run('--write', 'x').status).toBe(2);
    });
  });
});
