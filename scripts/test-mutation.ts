import { globSync } from 'node:fs';
import { readConfig } from './mutation/config.ts';
import { measure, measureUnexplained } from './mutation/measure.ts';
import { report } from './mutation/report.ts';

/**
 * `npm run test:mutation [-- FILE…]`: changes src/recovery and src/retention in every small way Stryker knows and looks
 * whether a test notices. Without files everything is measured (half an hour on three idle cores), with files only
 * these, and what was measured before stays. `-- unexplained` tries again what survived
 * without a reason, `-- report` measures nothing. Fails
 * below the threshold of stryker.config.json, and when a change that no test notices has no reason in
 * scripts/mutation/survivors.yaml. docs/mutation.md explains.
 */
const config = readConfig();
const words = process.argv.slice(2);
const all = config.mutate.flatMap((pattern) => globSync(pattern)).sort();
if (words[0] === 'unexplained') measureUnexplained(all, config);
else if (words[0] !== 'report') measure(words.length > 0 ? words : all, config);
if (!report(all, config)) process.exitCode = 1;
