export interface SmokeTest {
  department: string;
  name: string;
  /** Relative to the folder of the smoke tests. */
  file: string;
  kind: 'vitest' | 'sql';
  state: 'passed' | 'failed' | 'skipped';
  seconds: number;
  /** Why it failed or was skipped. */
  detail: string | null;
}

export interface SmokeReport {
  machine: { name: string; role: 'live' | 'staging' };
  /** Over every file of the folder: another hash means other checks (R19). */
  checksHash: string;
  passed: number;
  failed: number;
  skipped: number;
  departments: { name: string; passed: number; failed: number; skipped: number }[];
  tests: SmokeTest[];
  startedAt: string;
  finishedAt: string;
}

/** Counts, and sorts by department, file and order of running. Pure. */
export function summarize(
  tests: readonly SmokeTest[],
  about: Pick<SmokeReport, 'machine' | 'checksHash' | 'startedAt' | 'finishedAt'>,
): SmokeReport {
  const count = (list: readonly SmokeTest[], state: SmokeTest['state']): number =>
    list.filter((test) => test.state === state).length;
  const counts = (list: readonly SmokeTest[]): Pick<SmokeReport, 'passed' | 'failed' | 'skipped'> => ({
    passed: count(list, 'passed'),
    failed: count(list, 'failed'),
    skipped: count(list, 'skipped'),
  });
  const names = [...new Set(tests.map(({ department }) => department))].sort();
  const departments = names.map((name) => ({
    name,
    ...counts(tests.filter(({ department }) => department === name)),
  }));
  const sorted = names.flatMap((name) => tests.filter(({ department }) => department === name));
  return { ...about, ...counts(tests), departments, tests: sorted };
}

/** "accounting: the ledger balances", for the gate and for people. */
export function failedNames(report: SmokeReport): string[] {
  return report.tests
    .filter(({ state }) => state === 'failed')
    .map(({ department, name }) => `${department}: ${name}`);
}

/** JUnit XML as CI systems read it: one suite a department. */
export function toJUnit(report: SmokeReport): string {
  const lines = [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites name="clona smoke ${xml(report.machine.name)}" tests="${report.tests.length}" failures="${report.failed}" skipped="${report.skipped}">`,
  ];
  for (const { name, failed, skipped } of report.departments) {
    const tests = report.tests.filter(({ department }) => department === name);
    const seconds = tests.reduce((sum, test) => sum + test.seconds, 0).toFixed(3);
    lines.push(
      `  <testsuite name="${xml(name)}" tests="${tests.length}" failures="${failed}" errors="0" skipped="${skipped}" time="${seconds}" timestamp="${xml(report.startedAt)}">`,
    );
    for (const test of tests) lines.push(...caseLines(test));
    lines.push('  </testsuite>');
  }
  return [...lines, '</testsuites>', ''].join('\n');
}

function caseLines({ department, name, file, seconds, state, detail }: SmokeTest): string[] {
  const open = `    <testcase classname="${xml(department)}" name="${xml(name)}" file="${xml(file)}" time="${seconds.toFixed(3)}"`;
  if (state === 'passed') return [`${open}/>`];
  const text = detail ?? '';
  const inner =
    state === 'skipped'
      ? `      <skipped message="${xml(text)}"/>`
      : `      <failure message="${xml(text.split('\n')[0] ?? '')}">${xml(text)}</failure>`;
  return [`${open}>`, inner, '    </testcase>'];
}

/** XML 1.0 knows no control characters but tab and line ends, not even escaped. */
function xml(text: string): string {
  const entities: Readonly<Record<string, string>> = {
    '&': '&amp;',
    '<': '&lt;',
    '>': '&gt;',
    '"': '&quot;',
  };
  return text
    .replaceAll(/[^\P{Cc}\t\n\r]|[\uFFFE\uFFFF]|\p{Cs}/gu, '\uFFFD')
    .replaceAll(/[&<>"]/g, (char) => entities[char] ?? char);
}
