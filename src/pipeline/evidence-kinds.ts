import type { MaskReport } from '../databases/postgres/masking.ts';
import type { LedgerRecord } from '../control/ledger-record.ts';
import type { Evidence, Word } from '../gate/facts.ts';
import type {
  BackupTaken,
  Bearing,
  KitApplied,
  KitFound,
  Observation,
  Proof,
  Restored,
  SmokeRun,
  SnapshotTaken,
} from './operations.ts';

export type Rehearsal = { before: Observation; after: Observation; finishedAt: string };
export type ChecklistTick = { item: string; by: string; at: string };

/** What the ledger holds under each kind that somebody reads again. Kinds are never given another meaning. */
export interface EvidencePayloads {
  'live.counted': Bearing;
  'staging.created': { machine: string; isolation: string; engine: string };
  'staging.restored': Restored;
  'staging.fenced': { fenced: boolean; parts: string[] };
  'staging.masked': MaskReport;
  'archive.proven': Proof;
  'release.started': { initiator: string; source: string; refresh: string; machine: string };
  'release.kit': KitFound;
  'kit.staged': KitApplied;
  'smoke.staged': SmokeRun;
  'rollback.rehearsed': Rehearsal;
  'checklist.ticked': ChecklistTick;
  'requests.sent': { sentAt: string; evidence: Evidence; departments: string[] };
  'signoff.given': Word & { account: string };
  'live.bearing': Bearing;
  'guard.backup': BackupTaken;
  'guard.snapshot': SnapshotTaken;
}

export type EvidenceKind = keyof EvidencePayloads;

/** Newest record of each kind of one run. */
export type KindIndex = ReadonlyMap<string, LedgerRecord>;

export function indexKinds(records: Iterable<LedgerRecord>, run: string): KindIndex {
  const index = new Map<string, LedgerRecord>();
  for (const record of records) if (record.run === run) index.set(record.kind, record);
  return index;
}

export function payloadOf<Kind extends EvidenceKind>(
  index: KindIndex,
  kind: Kind,
): EvidencePayloads[Kind] | null {
  const record = index.get(kind);
  return record === undefined ? null : readPayload(record, kind);
}

/** Whoever wrote a record of this kind wrote it in this form. */
export function readPayload<Kind extends EvidenceKind>(
  record: LedgerRecord,
  _kind: Kind,
): EvidencePayloads[Kind] {
  return record.payload as unknown as EvidencePayloads[Kind];
}
