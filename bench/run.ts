import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/**
 * `npm run bench [NAME …]`: runs bench/NAME.bench.ts, or all of them, one after the other, each in a process of
 * its own, so that none measures the memory or the warm code of another. Ends with 1 when one of them did.
 */
const folder = new URL('./', import.meta.url);
const suffix = '.bench.ts';
const known = readdirSync(folder)
  .filter((file) => file.endsWith(suffix))
  .map((file) => file.slice(0, -suffix.length))
  .sort();
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !known.includes(name));
if (unknown.length > 0) {
  console.error(`there is no bench ${unknown.join(', ')}; known: ${known.join(', ')}`);
  process.exitCode = 2;
} else {
  for (const name of asked.length > 0 ? asked : known) {
    console.log(`\n== ${name}`);
    const file = fileURLToPath(new URL(`${name}${suffix}`, folder));
    const { status } = spawnSync(process.execPath, [file], { stdio: 'inherit' });
    if (status !== 0) process.exitCode = 1;
  }
}
