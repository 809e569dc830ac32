/** What `clona demo --database oracle` tells. The simulator proves that the driver and our SQL agree, not what a real server does. */
export interface OracleDemoReport {
  ok: boolean;
  verified: 'driver-verified, not Oracle-verified';
  seconds: number;
  stages: { name: string; ok: boolean; detail: string; seconds: number }[];
  backup: { label: string; kind: string } | null;
  clone: { name: string; dbid: string; fenced: boolean; orders: string } | null;
  imported: { schema: string; tables: number; rows: string; passed: boolean } | null;
  kits: {
    version: string;
    outcome: string;
    failure: string | null;
    gate: 'open' | 'closed';
    reasons: string[];
  }[];
  promoted: { version: string | null; steps: number } | null;
  problems: string[];
}

export interface OracleDemoOptions {
  signal: AbortSignal;
  tell: (line: string) => void;
}

/** `play` of scripts/demo/oracle/thin/story.ts, which is loaded by its address: the simulator is in a checkout only. */
export interface OracleDemo {
  play: (options: OracleDemoOptions) => Promise<OracleDemoReport>;
}

export function summarizeOracle(report: OracleDemoReport): string {
  const { clone, imported, kits, promoted, seconds, verified } = report;
  return [
    '',
    report.ok ? 'Every act ended as it should.' : `Not as it should be: ${report.problems.join('; ')}`,
    ...(clone === null
      ? []
      : [`  clone: ${clone.name}, a DBID of its own (${clone.dbid}), fenced, ${clone.orders} orders`]),
    ...(imported === null
      ? []
      : [
          `  proof: ${imported.schema} holds ${imported.rows} rows in ${imported.tables} tables, as the log of the export says`,
        ]),
    ...kits.map(
      ({ version, gate, reasons }) =>
        `  kit ${version}: gate ${gate}${reasons.length === 0 ? '' : ` (${reasons[0]})`}`,
    ),
    ...(promoted === null
      ? []
      : [`  LIVE: version ${promoted.version}, by the ${promoted.steps} steps that staging has recorded`]),
    `  ${seconds.toFixed(0)} s in all; ${verified}`,
  ].join('\n');
}
