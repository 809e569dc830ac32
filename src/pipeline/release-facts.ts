import type { LedgerRecord } from '../control/ledger-record.ts';
import type { GateFacts } from '../gate/facts.ts';
import { indexKinds, payloadOf, readPayload, type KindIndex } from './evidence-kinds.ts';
import { compareObservations, type CurrentHashes, type KitFound, type Observation } from './operations.ts';

/** What is not in the ledger because it is looked at now. */
export interface CurrentLook {
  hashes: CurrentHashes;
  /** LIVE as it is; null: it did not answer. */
  live: Observation | null;
  /** Machine → release that holds it. */
  held: ReadonlyMap<string, string>;
  /** Machine → refresh that filled it last. */
  filledBy: ReadonlyMap<string, string>;
  state: GateFacts['release']['state'];
}

/**
 * The facts of one release from its evidence, so that the gate judges what the ledger holds and nothing else.
 * `records`: those of the runs named, in order.
 */
export function foldFacts(
  records: readonly LedgerRecord[],
  runs: { release: string; refresh: string; promotion: string | null },
  look: CurrentLook,
): GateFacts {
  const own = indexKinds(records, runs.release);
  const base = indexKinds(records, runs.refresh);
  const promotion: KindIndex = runs.promotion === null ? new Map() : indexKinds(records, runs.promotion);
  const started = payloadOf(own, 'release.started');
  const kit = payloadOf(own, 'release.kit');
  const upgrade = own.get('kit.staged');
  const applied = payloadOf(own, 'kit.staged');
  return {
    release: {
      id: runs.release,
      initiator: started?.initiator ?? '',
      startedAt: own.get('release.started')?.time ?? '',
      state: look.state,
    },
    archive: archiveFacts(base),
    staging: stagingFacts(base, runs.refresh, started?.machine ?? '', look),
    kit: {
      name: kit?.name ?? '',
      version: kit?.version ?? '',
      releaseHash: kit?.hash ?? '',
      hashNow: look.hashes.kit,
    },
    upgrade:
      upgrade === undefined || applied === null || kit === null
        ? null
        : {
            run: keyOf(upgrade),
            refresh: runs.refresh,
            kitHash: kit.hash,
            procedureHash: applied.procedureHash,
            procedureHashNow: look.hashes.procedure,
            outcome: applied.outcome,
            failedStep: applied.failedStep,
            finishedAt: applied.finishedAt,
          },
    smoke: smokeFacts(own, runs.refresh, look.hashes),
    rehearsal: rehearsalFacts(own, runs.refresh, kit),
    checklist: checklistFacts(records, runs.release, own),
    requests: payloadOf(own, 'requests.sent'),
    words: records
      .filter(({ run, kind }) => run === runs.release && kind === 'signoff.given')
      .map((record) => readPayload(record, 'signoff.given')),
    live: liveFacts(base, look.live),
    guard: guardFacts(promotion),
  };
}

function archiveFacts(base: KindIndex): GateFacts['archive'] {
  const proof = payloadOf(base, 'archive.proven');
  const restored = payloadOf(base, 'staging.restored');
  if (proof === null || restored === null || proof.backup !== restored.backup) return null;
  return {
    backup: proof.backup,
    grade: proof.grade,
    provenAt: proof.provenAt,
    coversUntil: restored.coversUntil,
  };
}

function stagingFacts(
  base: KindIndex,
  refresh: string,
  machine: string,
  look: CurrentLook,
): GateFacts['staging'] {
  const created = payloadOf(base, 'staging.created');
  const restored = payloadOf(base, 'staging.restored');
  if (created === null || restored === null || created.machine !== machine) return null;
  return {
    machine,
    // Another refresh of the same machine since then makes it another staging.
    refresh: look.filledBy.get(machine) ?? refresh,
    restoredFrom: restored.backup,
    fenced: payloadOf(base, 'staging.fenced')?.fenced === true,
    maskedAt: payloadOf(base, 'staging.masked')?.maskedAt ?? null,
    heldBy: look.held.get(machine) ?? null,
  };
}

function smokeFacts(own: KindIndex, refresh: string, hashes: CurrentHashes): GateFacts['smoke'] {
  const record = own.get('smoke.staged');
  const smoke = payloadOf(own, 'smoke.staged');
  const upgrade = own.get('kit.staged');
  if (record === undefined || smoke === null || upgrade === undefined) return null;
  return {
    run: keyOf(record),
    refresh,
    upgradeRun: keyOf(upgrade),
    checksHash: smoke.checksHash,
    checksHashNow: hashes.checks,
    passed: smoke.passed,
    failed: smoke.failed,
    finishedAt: smoke.finishedAt,
  };
}

function rehearsalFacts(own: KindIndex, refresh: string, kit: KitFound | null): GateFacts['rehearsal'] {
  const record = own.get('rollback.rehearsed');
  const rehearsal = payloadOf(own, 'rollback.rehearsed');
  if (record === undefined || rehearsal === null || kit === null) return null;
  return {
    run: keyOf(record),
    refresh,
    kitHash: kit.hash,
    back: compareObservations(rehearsal.before, rehearsal.after),
    finishedAt: rehearsal.finishedAt,
  };
}

function checklistFacts(
  records: readonly LedgerRecord[],
  release: string,
  own: KindIndex,
): GateFacts['checklist'] {
  const smoke = own.get('smoke.staged');
  if (smoke === undefined) return null;
  const ticks = records.filter(
    ({ run, kind, sequence }) => run === release && kind === 'checklist.ticked' && sequence > smoke.sequence,
  );
  return {
    // A site without a checklist has done it with the smoke tests.
    run: ticks.length === 0 ? `${keyOf(smoke)}/no-checklist` : `${release}/checklist`,
    smokeRun: keyOf(smoke),
    done: ticks.map((record) => readPayload(record, 'checklist.ticked')),
  };
}

function liveFacts(base: KindIndex, live: Observation | null): GateFacts['live'] {
  if (live === null) return null;
  const bearing = payloadOf(base, 'live.counted');
  return {
    fingerprint: live.fingerprint,
    programVersion: live.programVersion,
    observedAt: live.at,
    baseline:
      bearing === null ? null : { fingerprint: bearing.fingerprint, programVersion: bearing.programVersion },
  };
}

function guardFacts(promotion: KindIndex): GateFacts['guard'] {
  const backup = payloadOf(promotion, 'guard.backup');
  const snapshot = payloadOf(promotion, 'guard.snapshot');
  if (backup === null && snapshot === null) return null;
  return {
    backup:
      backup === null ? null : { label: backup.label, finishedAt: backup.finishedAt, grade: backup.grade },
    snapshot,
  };
}

function keyOf(record: LedgerRecord): string {
  return record.key ?? String(record.sequence);
}
