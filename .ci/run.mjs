// Plain JavaScript for the image's own Node.js: it runs before `npm ci` has brought a newer one.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkSkips } from './skips.mjs';

const counts = { passed: 0, failed: 0, skipped: 0 };
const minute = 60_000;
/** All of it ends within 30 minutes, on a slow machine, too: what one step did not need the next ones have. */
const endsAt = Date.now() + 29 * minute;
const policy = '/usr/sbin/policy-rc.d';

process.env.CI = '1';
if (existsSync('../shared/toolchain')) process.env.CLONA_TOOLCHAIN ??= resolve('../shared/toolchain');

/** Runs a command in a process group of its own, so that nothing of it is left when its time is up. */
async function step(name, command, timeoutMs, stdoutFile) {
  const startedAt = Date.now();
  console.log(`\n== ${name}: ${command}`);
  const redirected = stdoutFile === undefined ? command : `(${command}) > ${stdoutFile}`;
  const child = spawn('bash', ['-c', redirected], {
    stdio: ['ignore', 'inherit', 'inherit'],
    detached: true,
  });
  const group = -(child.pid ?? 0);
  const end = () => process.kill(group, 'SIGTERM');
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, end);
  const timer = setTimeout(() => {
    console.log(`== ${name}: ended after ${Math.round(timeoutMs / minute)} minutes`);
    if (child.pid !== undefined) process.kill(group, 'SIGKILL');
  }, timeoutMs);
  const status = await new Promise((resolve) => {
    child.on('close', (code, signal) => resolve(code ?? signal));
    child.on('error', () => resolve('error'));
  });
  clearTimeout(timer);
  for (const signal of ['SIGINT', 'SIGTERM']) process.off(signal, end);
  console.log(
    `== ${name}: ${status === 0 ? 'ok' : `exit ${status}`} after ${Math.round((Date.now() - startedAt) / 1000)} s`,
  );
  return status === 0;
}

/** What is left when so many minutes are kept for the steps that follow. */
const without = (keptMinutes) => Math.max(minute, endsAt - Date.now() - keptMinutes * minute);

function count(ok) {
  counts[ok ? 'passed' : 'failed'] += 1;
  return ok;
}

/** Adds a report of vitest; a run that failed without a failing test (a crash, a leak) counts as one failure. */
function addReport(file, ok) {
  try {
    const report = JSON.parse(readFileSync(file, 'utf8'));
    counts.passed += report.numPassedTests;
    counts.failed += report.numFailedTests;
    const { skipped, unexpected } = checkSkips(report);
    counts.skipped += skipped;
    counts.failed += unexpected.length;
    for (const name of unexpected) console.log(`== skipped, but expected to run here: ${name}`);
    if (!ok && report.numFailedTests === 0) counts.failed += 1;
    return report.numPassedTests > 0;
  } catch (error) {
    console.log(`== no report ${file}: ${error.message}`);
    counts.failed += 1;
    return false;
  }
}

/**
 * Programs that some tests need, from the system's own packages. Nothing is started by it and no cluster is made.
 * Without root or packages those tests are skipped, and the list of allowed skips says whether that is a failure.
 */
async function installPrograms() {
  const has = (file) => existsSync(file);
  const wanted = [];
  if (!has('/usr/lib/postgresql/15/bin/postgres')) wanted.push('postgresql-15');
  if (!has('/usr/sbin/sshd')) wanted.push('openssh-server');
  if (!has('/usr/bin/zstd')) wanted.push('zstd');
  if (wanted.length === 0) return;
  const isRoot = process.getuid?.() === 0;
  if (!isRoot || spawnSync('apt-get', ['--version']).status !== 0) {
    console.log(`== not here and not installable: ${wanted.join(', ')}`);
    return;
  }
  const ownPolicy = !existsSync(policy);
  if (ownPolicy) writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  const install = (packages) =>
    `DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends ${packages}`;
  const noCluster =
    "sed -ri 's/^#?(create_main_cluster) .*$/\\1 = false/' /etc/postgresql-common/createcluster.conf";
  const commands = [
    'apt-get update -q',
    ...(wanted.includes('postgresql-15') ? [install('postgresql-common'), noCluster] : []),
  ];
  try {
    await step('programs', [...commands, install(wanted.join(' '))].join(' && '), 6 * minute);
  } finally {
    if (ownPolicy) rmSync(policy, { force: true });
  }
}

async function playDemo() {
  if (!existsSync('scripts/demo.ts')) {
    console.log('== demo: there is none yet');
    counts.skipped += 1;
    return;
  }
  const ran = await step('demo', 'npm run -s demo -- --json', without(0), 'reports/demo.json');
  let said = {};
  try {
    const text = readFileSync('reports/demo.json', 'utf8');
    console.log(text);
    said = JSON.parse(text);
  } catch (error) {
    console.log(`== the demo gave no JSON: ${error.message}`);
  }
  count(ran && said.ok === true);
}

mkdirSync('reports', { recursive: true });
await installPrograms();
if (count(await step('install', 'npm ci --no-audit --no-fund', 6 * minute))) {
  count(await step('check', 'npm run -s check', 4 * minute));
  rmSync('reports/vitest.json', { force: true });
  addReport('reports/vitest.json', await step('tests', 'npm test', without(5)));
  rmSync('reports/package.json', { force: true });
  addReport('reports/package.json', await step('package', 'npm run -s test:package', without(3)));
  await playDemo();
}
console.log(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped`);
process.exitCode = counts.failed > 0 ? 1 : 0;
