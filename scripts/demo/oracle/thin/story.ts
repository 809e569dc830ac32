import type { OracleDemoOptions, OracleDemoReport } from '../../oracle-report.ts';
import { backUp, install, prove, refresh, tryKit } from './acts.ts';
import { erpStatements, openOracleWorld } from './world.ts';

/**
 * The thin path with Oracle, against the simulated server: a backup by RMAN, restored into a clone with a name and a DBID of its own,
 * fenced; an export imported into the CLONA schema; a kit that breaks and is stopped at the gate; a good kit, confirmed, and
 * installed on LIVE by the steps that staging has recorded. No durable pipeline, no rollback: those are played with PostgreSQL.
 */
export async function play({ signal, tell }: OracleDemoOptions): Promise<OracleDemoReport> {
  const started = performance.now();
  const report: OracleDemoReport = {
    ok: false,
    verified: 'driver-verified, not Oracle-verified',
    seconds: 0,
    stages: [],
    backup: null,
    clone: null,
    imported: null,
    kits: [],
    promoted: null,
    problems: [],
  };
  const act = async <Result>(
    name: string,
    work: () => Promise<Result>,
    say: (result: Result) => string,
  ): Promise<Result> => {
    const began = performance.now();
    tell(`· ${name}`);
    const result = await work();
    const detail = say(result);
    tell(`  ${detail}`);
    report.stages.push({ name, ok: true, detail, seconds: (performance.now() - began) / 1000 });
    return result;
  };
  await using world = await openOracleWorld(signal);
  const { live } = world;
  await act(
    'LIVE: an ERP on Oracle',
    async () => world.run(live, ...erpStatements),
    () => 'orders, lines, keys, a view',
  );
  const label = await act(
    'a backup by RMAN, its log judged',
    async () => backUp(world, signal),
    (found) => found,
  );
  report.backup = { label, kind: 'managed' };
  const made = await act(
    'refresh: restored into LIVE STAGING',
    async () => {
      const staging = await world.makeStaging('staging1');
      return { staging, clone: await refresh(world, staging, signal) };
    },
    ({ clone: { name, dbid } }) => `${name}, DBID ${dbid}, fenced`,
  );
  let { staging } = made;
  const orders = await world.one(staging, 'SELECT COUNT(*) FROM erp.orders');
  report.clone = { ...made.clone, fenced: true, orders };
  const proof = await act(
    'proof: the export imported into the CLONA schema',
    async () => prove(world, staging, signal),
    ({ rows, tables }) => `${rows} rows in ${tables} tables`,
  );
  report.imported = { schema: 'CLONA_ERP', tables: proof.tables, rows: proof.rows, passed: proof.passed };
  for (const version of ['2.1', '2.2'] as const) {
    const { kit, applied, gate } = await act(
      `kit ${version} on LIVE STAGING`,
      async () => tryKit(world, staging, version, label, proof, signal),
      ({ applied, gate }) => `${applied.outcome}; gate ${gate.open ? 'open' : 'closed'}`,
    );
    const reasons = gate.conditions
      .filter(({ open, name }) => !open && !gate.later.includes(name))
      .map(({ name, reason }) => `${name}: ${reason}`);
    const { outcome, failure } = applied;
    report.kits.push({ version, outcome, failure, gate: gate.open ? 'open' : 'closed', reasons });
    if (gate.open) {
      report.promoted = await act(
        `kit ${version} on LIVE, by the same steps`,
        async () => install(live, kit, signal, applied.steps),
        ({ versionAfter }) => `version ${versionAfter}`,
      ).then(({ versionAfter, steps }) => ({ version: versionAfter, steps: steps.length }));
    } else {
      // DDL is not rolled back: what a broken kit has touched is no staging any more.
      staging = await world.makeStaging('staging2');
      await act(
        'refresh: LIVE STAGING made anew',
        async () => refresh(world, staging, signal),
        ({ name }) => name,
      );
    }
  }
  report.problems = findProblems(report);
  report.ok = report.problems.length === 0;
  report.seconds = (performance.now() - started) / 1000;
  return report;
}

function findProblems({ imported, kits, promoted, clone }: OracleDemoReport): string[] {
  const [broken, good] = kits;
  return [
    ...(clone?.orders === '3' ? [] : ['the clone does not hold the orders']),
    ...(imported?.passed === true ? [] : ['the import was not proven']),
    ...(broken?.gate === 'closed' && broken.outcome === 'failed' ? [] : ['the broken kit was not stopped']),
    ...(good?.gate === 'open' ? [] : [`the good kit was stopped: ${good?.reasons.join('; ')}`]),
    ...(promoted?.version === '2.2' ? [] : ['LIVE does not have version 2.2']),
  ];
}
