// Plain JavaScript for the image's own Node.js: it runs before `npm ci` has brought a newer one.
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

let passed = 0;
let failed = 0;
let skipped = 0;

function step(name, command) {
  const startedAt = Date.now();
  console.log(`\n== ${name}: ${command}`);
  const { status } = spawnSync('bash', ['-c', command], { stdio: ['ignore', 'inherit', 'inherit'] });
  console.log(`== ${name}: exit ${status} after ${((Date.now() - startedAt) / 1000).toFixed(0)} s`);
  return status === 0;
}

function count(name, ok) {
  if (ok) passed += 1;
  else failed += 1;
  return ok;
}

const toolchain = '../shared/toolchain';
if (existsSync(toolchain)) process.env.CLONA_TOOLCHAIN ??= toolchain;

count('install', step('install', 'npm ci'));
count('check', step('check', 'npm run check'));
const tests = step('tests', 'npm test');
try {
  const report = JSON.parse(readFileSync('reports/vitest.json', 'utf8'));
  passed += report.numPassedTests;
  failed += report.numFailedTests;
  skipped += report.numPendingTests + report.numTodoTests;
  if (!tests && report.numFailedTests === 0) failed += 1;
} catch {
  failed += 1;
}
console.log(`${passed} passed, ${failed} failed, ${skipped} skipped`);
process.exitCode = failed > 0 ? 1 : 0;
