import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCatalogFile } from '../src/cli/input-file.ts';
import { explainPlan } from '../src/recovery/explain.ts';
import { planRecovery } from '../src/recovery/plan.ts';
import { parseUntil } from '../src/recovery/question.ts';
import { layTable } from '../src/recovery/table.ts';
import { decideRetention } from '../src/retention/retention.ts';
import { writeLargeCatalog } from './large-catalog.ts';

/**
 * Plan over catalogs of 10^4, 10^5 and 10^6 logs, 1 backup per 100 and 1 incarnation per 1,000 logs. Goals at
 * 10^6: parse + plan under 6 s, plan under 2 s, under 1 GB. `CLONA_BENCH_PLAN=FILE` is the measuring child.
 */
const measured = process.env['CLONA_BENCH_PLAN'];
if (measured === undefined) await compare();
else await measure(measured);

interface Figures {
  parseMs: number;
  planMs: number;
  farMs: number;
  retentionMs: number;
  peakMb: number;
}

async function compare(): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'clona-bench-plan-'));
  const rows = [
    [
      'logs',
      'order',
      'file MB',
      'parse ms',
      'plan ms',
      'plan far ms',
      'retention ms',
      'peak MB',
      'clona plan ms',
    ],
  ];
  try {
    for (const logs of [10_000, 100_000, 1_000_000]) {
      for (const shuffled of [false, true]) {
        const file = join(folder, 'catalog.json');
        await writeLargeCatalog(file, { logs, backups: logs / 100, incarnations: logs / 1000 }, shuffled);
        const { parseMs, planMs, farMs, retentionMs, peakMb } = runChild(file);
        rows.push([
          String(logs),
          shuffled ? 'shuffled' : 'sorted',
          (statSync(file).size / 2 ** 20).toFixed(0),
          ...[parseMs, planMs, farMs, retentionMs, peakMb].map((figure) => figure.toFixed(0)),
          runVerb(file, ['plan']).toFixed(0),
        ]);
      }
    }
    const small = join(folder, 'small.json');
    await writeLargeCatalog(small, { logs: 100, backups: 10, incarnations: 4 }, false);
    const policy = join(folder, 'policy.json');
    writeFileSync(policy, '{"redundancy":2}');
    for (const words of [['plan'], ['incarnations'], ['retention', '--policy', policy]]) {
      const runs = [1, 2, 3, 4, 5].map(() => runVerb(small, words)).sort((a, b) => a - b);
      console.log(`start to end of clona ${words[0]}, 100 logs: ${runs[2]!.toFixed(0)} ms`); // the middle of five
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
  console.log(layTable(rows, [0, 2, 3, 4, 5, 6, 7, 8]).join('\n'));
}

/** Median of three by parse + plan. */
function runChild(file: string): Figures {
  const runs = [1, 2, 3].map(() => {
    const env = { ...process.env, CLONA_BENCH_PLAN: file };
    const { stdout, stderr, status } = spawnSync(process.execPath, [import.meta.filename], {
      env,
      encoding: 'utf8',
    });
    if (status !== 0) throw new Error(stderr);
    return JSON.parse(stdout) as Figures;
  });
  return runs.sort((a, b) => a.parseMs + a.planMs - b.parseMs - b.planMs)[1]!; // three were made
}

function runVerb(file: string, words: readonly string[]): number {
  const launcher = fileURLToPath(new URL('../bin/clona.js', import.meta.url));
  const startedAt = performance.now();
  const { status } = spawnSync(process.execPath, [launcher, ...words, '--catalog', file, '--json'], {
    stdio: 'ignore',
  });
  if (status !== 0 && status !== 5) throw new Error(`clona ${words[0]} ended with ${status}`);
  return performance.now() - startedAt;
}

async function measure(file: string): Promise<void> {
  const times = [performance.now()];
  const catalog = await readCatalogFile({ catalog: file }, new AbortController().signal);
  times.push(performance.now());
  const answer = planRecovery(catalog, { until: { kind: 'latest' }, lost: 'database' });
  explainPlan(catalog, answer);
  times.push(performance.now());
  const peakMb = process.resourceUsage().maxRSS / 1024;
  // As many logs to name as there can be: far from every backup but the oldest.
  const oldest = catalog.backups.filter(({ kind }) => kind !== 'export').slice(0, 1);
  const known = catalog.logs.map((log) => ({ ...log, state: 'available' as const }));
  const middle = performance.now();
  planRecovery(
    { ...catalog, logs: known, backups: oldest },
    { until: parseUntil('latest'), lost: 'database' },
  );
  const far = performance.now() - middle;
  const startedAt = performance.now();
  decideRetention(
    catalog,
    { redundancy: 3, windowDays: 30, orphanDays: 3 },
    Date.parse('2017-06-01T00:00:00Z'),
  );
  const figures: Figures = {
    parseMs: times[1]! - times[0]!,
    planMs: times[2]! - times[1]!,
    farMs: far,
    retentionMs: performance.now() - startedAt,
    peakMb,
  };
  console.log(JSON.stringify(figures));
}
