import { expect, test } from 'vitest';
import { verb } from '../../src/cli/demo.ts';
import type { OptionValues, VerbContext, VerbResult } from '../../src/cli/verb.ts';

// Driver-verified, not Oracle-verified: see test/oracle-sim/README.md.

async function demo(options: OptionValues): Promise<VerbResult> {
  const context: VerbContext = {
    signal: AbortSignal.timeout(110_000),
    json: true,
    yes: false,
    verbose: false,
    sitePath: 'clona.yaml',
    onProgress: () => {},
    note: () => {},
  };
  return verb.run(context, { platform: 'local', database: 'oracle', ...options }, []);
}

test('the demo with Oracle restores, proves, stops the broken kit and lets the good one to LIVE', async () => {
  const { json, exitCode, human } = await demo({});
  expect(json).toMatchObject({
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
  expect(exitCode).toBe(0);
  expect(human).toContain('Every act ended as it should.');
}, 120_000);

test.each([[{ keep: true }], [{ platform: 'vsphere' }], [{ database: 'db2' }]])(
  'what the demo with Oracle has not is refused: %j',
  async (options) => {
    await expect(demo(options)).rejects.toMatchObject({ kind: 'usage', exitCode: 2 });
  },
);
