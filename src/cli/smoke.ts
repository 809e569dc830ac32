import { writeFile } from 'node:fs/promises';
import { ClonaError } from '../errors.ts';
import { sameName } from '../gate/signing.ts';
import type { SmokeReport, SmokeTest } from '../smoke/report.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option('--machine <role>', 'live or staging; live is only read', 'staging')
      .option('--name <name>', 'another staging machine than the one of the site file')
      .option('--department <name...>', 'only the tests of these departments')
      .option('--directory <folder>', 'another folder of tests than the one of the site file')
      .option('--junit <file>', 'write the result as JUnit XML too');
  },
  examples: [
    'clona smoke',
    'clona smoke --machine live --json',
    'clona smoke --department accounting --junit reports/smoke.xml',
  ],
  exits: { 4: 'a smoke test failed', 6: 'the machine or its database does not answer' },
  run: smoke,
};

async function smoke(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { loadSite } = await import('../site/load.ts');
  const { withSmokeMachine } = await import('../pipeline/smoke-machine.ts');
  const { runSmoke } = await import('../smoke/run.ts');
  const { failedNames, toJUnit } = await import('../smoke/report.ts');
  const role = options['machine'];
  if (role !== 'live' && role !== 'staging') {
    throw new ClonaError('usage', 'smoke tests run on --machine live or --machine staging');
  }
  const site = await loadSite(context.sitePath);
  const given = textOption(options, 'name');
  if (given !== undefined && role === 'live') throw new ClonaError('usage', '--name is for staging machines');
  const name = given ?? (role === 'live' ? site.machines.live.name : site.staging.name);
  const departments = options['department'];
  const report = await withSmokeMachine(site, role, name, context.signal, async (machine) =>
    runSmoke({
      directory: textOption(options, 'directory') ?? site.smoke.directory,
      machine,
      departments: Array.isArray(departments) ? departments.map(String) : undefined,
      timeoutMs: site.smoke.timeout,
      signal: context.signal,
      onProgress: context.onProgress,
    }),
  );
  const file = textOption(options, 'junit');
  if (file !== undefined) await writeFile(file, toJUnit(report));
  const untested = site.departments
    .map((department) => department.name)
    .filter(
      (department) =>
        departments === undefined && !report.departments.some((one) => sameName(one.name, department)),
    );
  for (const department of untested)
    context.note(`warning: no smoke test speaks for the department ${department}`);
  const failed = failedNames(report);
  const ok = failed.length === 0 && report.passed > 0;
  return {
    json: { ok, ...report, failedTests: failed, untested },
    human: showReport(report),
    exitCode: ok ? 0 : 4,
  };
}

function showReport(report: SmokeReport): string {
  const lines = report.departments.map(({ name, passed, failed, skipped }) => {
    const counts = [
      `${passed} passed`,
      ...(failed > 0 ? [`${failed} failed`] : []),
      ...(skipped > 0 ? [`${skipped} skipped`] : []),
    ];
    return `${failed > 0 ? '✖' : '✔'} ${name.padEnd(16)} ${counts.join(', ')}`;
  });
  const failures = report.tests.filter(({ state }) => state === 'failed').flatMap(showFailure);
  const total = `${report.passed} passed, ${report.failed} failed, ${report.skipped} skipped on ${report.machine.name}`;
  return [...lines, ...failures, total].join('\n');
}

function showFailure({ department, name, file, detail }: SmokeTest): string[] {
  const said = (detail ?? '').split('\n').slice(0, 12);
  return ['', `✖ ${department}: ${name} (${file})`, ...said.map((line) => `    ${line}`)];
}

function textOption(options: OptionValues, name: string): string | undefined {
  const value = options[name];
  return typeof value === 'string' ? value : undefined;
}
