import type { GateDecision } from '../../src/gate/gate.ts';
import type { Stage } from './stages.ts';

/** The one document of `npm run demo -- --json`. */
export interface DemoReport {
  ok: boolean;
  seconds: number;
  platform: 'local' | 'vsphere';
  database: 'postgres' | 'oracle';
  /** With a simulated server: what that proves. */
  verified?: 'driver-verified, not Oracle-verified';
  engine: 'pulumi' | 'direct';
  stages: readonly Stage[];
  backup: { label: string; grade: number; bytes: number; seconds: number } | null;
  production: { versionBefore: string; versionAfter: string; ordersCommitted: number; ordersFound: number };
  releases: ReleaseTold[];
  evidence: { file: string; records: number; verified: boolean } | null;
  disaster: { ordersArchived: number; ordersRestored: number; seconds: number } | null;
  /** Why `ok` is false; empty when it is true. */
  problems: string[];
}

export interface ReleaseTold {
  kit: string;
  hash: string;
  gate: 'open' | 'closed';
  reasons: string[];
  promoted: boolean;
  rolledBack: boolean;
}

export function tellRelease(
  kit: { version: string; hash: string } | null,
  gate: GateDecision | null,
  outcome: { promoted: boolean; rolledBack: boolean; reasons?: readonly string[] },
): ReleaseTold {
  const closed = gate?.conditions.filter(({ open }) => !open) ?? [];
  return {
    kit: kit?.version ?? '',
    hash: kit?.hash ?? '',
    gate: gate?.open === true ? 'open' : 'closed',
    reasons: [...closed.map(({ name, reason }) => `${name}: ${reason}`), ...(outcome.reasons ?? [])],
    promoted: outcome.promoted,
    rolledBack: outcome.rolledBack,
  };
}

/** What a DBA would show the boss. */
export function summarize(report: DemoReport, folder: string | null): string {
  const { production, backup, evidence, disaster, releases } = report;
  const told = releases.map(({ kit, gate, promoted, rolledBack, reasons }) => {
    if (rolledBack)
      return `  kit ${kit}: broke on LIVE and was rolled back to where it was (${reasons[0] ?? ''})`;
    if (promoted) return `  kit ${kit}: confirmed by every department and promoted`;
    return `  kit ${kit}: gate ${gate}, LIVE untouched (${reasons[0] ?? ''})`;
  });
  return [
    '',
    report.ok ? 'Every act ended as it should.' : `Not as it should be: ${report.problems.join('; ')}`,
    ...(backup === null
      ? []
      : [
          `  archive: backup ${backup.label}, ${(backup.bytes / 2 ** 20).toFixed(1)} MiB in ${backup.seconds.toFixed(1)} s, proven to grade ${backup.grade}`,
        ]),
    ...told,
    `  production: version ${production.versionBefore} → ${production.versionAfter}, ${production.ordersFound} of ${production.ordersCommitted} confirmed orders are there`,
    ...(disaster === null
      ? []
      : [
          `  disaster: production and control state ${folder === null ? 'deleted' : 'put aside'}; from the archive alone ${disaster.ordersRestored} of ${disaster.ordersArchived} archived orders in ${disaster.seconds.toFixed(1)} s`,
        ]),
    ...(evidence === null
      ? []
      : [`  evidence: ${evidence.records} records, ${evidence.verified ? 'verified' : 'NOT verified'}`]),
    `  ${report.seconds.toFixed(0)} s in all, platform: ${report.platform}, engine: ${report.engine}${report.verified === undefined ? '' : `; ${report.verified}`}`,
    ...(folder === null
      ? []
      : [
          `  kept for you to look around: npx clona status --site ${folder}/site/clona.yaml`,
          `  and to take it all away: npx clona demo --remove ${folder} --yes`,
        ]),
  ].join('\n');
}
