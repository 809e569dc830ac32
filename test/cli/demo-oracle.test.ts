import { expect, test } from 'vitest';
import { play } from '../../scripts/demo/oracle/thin/story.ts';
import { summarizeOracle } from '../../scripts/demo/oracle-report.ts';
import type { DemoReport } from '../../scripts/demo/report.ts';
import { verb } from '../../src/cli/demo.ts';
import type { OptionValues, VerbContext, VerbResult } from '../../src/cli/verb.ts';
import { whyNoVsphereWorld } from '../support/vsphere-world.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

const missing = await whyNoVsphereWorld();

async function demo(options: OptionValues): Promise<VerbResult> {
  const context: VerbContext = {
    signal: AbortSignal.timeout(1_100_000),
    json: true,
    yes: false,
    verbose: false,
    sitePath: 'clona.yaml',
    onProgress: () => {},
    note: () => {},
  };
  return verb.run(context, { platform: 'local', database: 'oracle', ...options }, []);
}

test.skipIf(missing !== undefined)(
  `the demo with Oracle plays the whole story through the pipeline${missing === undefined ? '' : ` (${missing})`}`,
  async () => {
    const { json, exitCode, human } = await demo({});
    const report = json as DemoReport; // what the verb gives
    const times = report.stages.map(({ name, seconds }) => `${seconds.toFixed(1).padStart(6)} s  ${name}\n`);
    process.stdout.write(`${times.join('')}${report.seconds.toFixed(1).padStart(6)} s  in all\n`);
    const closed = { gate: 'closed', promoted: false, rolledBack: false };
    expect(report).toMatchObject({
      ok: true,
      problems: [],
      verified: 'driver-verified, not Oracle-verified',
      platform: 'vsphere',
      backup: { grade: 5 },
      production: { versionBefore: '1.9', versionAfter: '2.1' },
      releases: [
        { kit: '2.0', ...closed },
        { kit: '2.1', gate: 'open', promoted: true, rolledBack: false, reasons: [] },
        { kit: '2.2', gate: 'open', promoted: false, rolledBack: true },
        { kit: '2.3', ...closed, reasons: expect.arrayContaining([expect.stringContaining('LIVE changed')]) },
      ],
      evidence: { verified: true },
    });
    expect(report.production.ordersFound).toBe(report.production.ordersCommitted);
    expect(report.disaster?.ordersRestored).toBe(report.disaster?.ordersArchived);
    expect(exitCode).toBe(0);
    expect(human).toContain('Every act ended as it should.');
  },
  1_200_000,
);

test('where no machine can be made, the thin path restores, proves, stops the broken kit and lets the good one to LIVE', async () => {
  const report = await play({ signal: AbortSignal.timeout(110_000), tell: () => {} });
  expect(report).toMatchObject({
    ok: true,
    verified: 'driver-verified, not Oracle-verified',
    clone: { name: 'CLONAERP', fenced: true, orders: '3' },
    imported: { schema: 'CLONA_ERP', tables: 2, rows: '4', passed: true },
    kits: [
      { version: '2.1', outcome: 'failed', gate: 'closed' },
      { version: '2.2', outcome: 'succeeded', gate: 'open', reasons: [] },
    ],
    promoted: { version: '2.2' },
    problems: [],
  });
  expect(summarizeOracle(report)).toContain('Every act ended as it should.');
}, 120_000);

test.each([[{ keep: true }], [{ engine: 'direct' }], [{ database: 'db2' }]])(
  'what the demo with Oracle has not is refused: %j',
  async (options) => {
    await expect(demo(options)).rejects.toMatchObject({ kind: 'usage', exitCode: 2 });
  },
);
