import type { SchemaImportReport } from '../../../../src/databases/oracle/import/import.ts';
import type { Evidence, GateFacts, GatePolicy } from '../../../../src/gate/facts.ts';
import { decideGate, type GateDecision } from '../../../../src/gate/gate.ts';
import type { KitReport } from '../../../../src/kit/apply/apply.ts';

interface Found {
  /** The refresh that filled staging. */
  refresh: string;
  kit: { manifest: { name: string; version: string }; hash: string };
  applied: KitReport;
  backup: string;
  proof: SchemaImportReport;
  smokePassed: boolean;
}

const hour = 3_600_000;

/** What this small site demands: grade 4, one department, one point of the DBA's, at any time, nothing masked or rehearsed. */
const policy: GatePolicy = {
  minimumGrade: 4,
  maximumAgeMs: 26 * hour,
  departments: [{ name: 'sales', keyUsers: ['anna'], delegates: [] }],
  checklist: ['nightly jobs looked at'],
  recorders: [],
  confirmationMaximumAgeMs: null,
  windows: 'always',
  maskingRequired: false,
  rehearsalRequired: false,
  observationMaximumAgeMs: hour,
  guardMaximumAgeMs: hour,
};

/** The same table of conditions as everywhere (R18), with what this run has found; people's words are given where the kit went in. */
export function judgeGate({ refresh, kit, applied, backup, proof, smokePassed }: Found): GateDecision {
  const now = new Date();
  const at = now.toISOString();
  const succeeded = applied.outcome === 'succeeded';
  const run = `demo-${kit.manifest.version}`;
  const evidence: Evidence = {
    refresh,
    backup,
    kitHash: kit.hash,
    procedureHash: applied.procedureHash,
    upgradeRun: run,
    checksHash: 'orders',
    smokeRun: run,
    rehearsalRun: '',
    checklistRun: run,
  };
  const facts: GateFacts = {
    release: { id: run, initiator: 'dba', startedAt: applied.startedAt, state: 'open' },
    archive: { backup, grade: proof.passed ? 4 : 2, provenAt: at, coversUntil: at },
    staging: {
      machine: refresh,
      refresh,
      restoredFrom: backup,
      fenced: true,
      maskedAt: null,
      heldBy: run,
    },
    kit: { name: kit.manifest.name, version: kit.manifest.version, releaseHash: kit.hash, hashNow: kit.hash },
    upgrade: {
      run,
      refresh,
      kitHash: kit.hash,
      procedureHash: applied.procedureHash,
      procedureHashNow: applied.procedureHash,
      outcome: applied.outcome,
      failedStep: applied.failedStep,
      finishedAt: applied.finishedAt,
    },
    smoke: succeeded
      ? {
          run,
          refresh,
          upgradeRun: run,
          checksHash: 'orders',
          checksHashNow: 'orders',
          passed: smokePassed ? 1 : 0,
          failed: smokePassed ? [] : ['orders'],
          finishedAt: at,
        }
      : null,
    rehearsal: null,
    checklist: succeeded
      ? { run, smokeRun: run, done: [{ item: 'nightly jobs looked at', by: 'dba', at }] }
      : null,
    requests: succeeded ? { sentAt: at, evidence } : null,
    words: succeeded
      ? [{ department: 'sales', by: 'anna', onBehalfOf: null, word: 'confirm', comment: null, at, evidence }]
      : [],
    live: {
      fingerprint: 'as it was',
      programVersion: '2.0',
      observedAt: at,
      baseline: { fingerprint: 'as it was', programVersion: '2.0' },
    },
    guard: null,
  };
  return decideGate(facts, policy, now, 'promotion');
}
