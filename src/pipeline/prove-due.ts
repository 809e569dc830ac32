import { openArchive, readGrades } from '../archive/repository.ts';
import { acquireSiteLock } from '../control/lock.ts';
import { readArchive } from '../databases/postgres/catalog.ts';
import {
  describeChecksums,
  describeLog,
  proveFromArchive,
  rememberArchiveProof,
  type ArchiveProof,
} from '../databases/postgres/prove/prove-archive.ts';
import { ClonaError } from '../errors.ts';
import type { OnProgress } from '../progress.ts';
import { decideProof, type AcknowledgedGap, type ProofDecision } from '../proof/due.ts';
import type { Grade, ProofRecord } from '../proof/grades.ts';
import { findCurrentGaps, findGaps } from '../recovery/gaps.ts';
import { parsePosition } from '../recovery/position.ts';
import type { OpenedSite } from './open-site.ts';
import type { Proof } from './operations.ts';
import { newRunId } from './run-id.ts';

export interface DueProofs {
  decision: ProofDecision;
  proofs: ArchiveProof[];
  /** Backups whose wanted grade needs a restored database: `clona refresh`. */
  needRestore: { label: string; grade: number | null; wanted: number }[];
}

const recheckMs = 7 * 24 * 3600 * 1000;

export interface DueOptions {
  by: string;
  /** Only this backup, due or not. */
  label?: string | undefined;
  signal: AbortSignal;
  onProgress: OnProgress;
}

/** Proves what is due of the site's archive as far as the archive alone goes (grade 2), remembers and records it. */
export async function proveDue(opened: OpenedSite, options: DueOptions): Promise<DueProofs> {
  const { site, control, ledger } = opened;
  const { by, label, onProgress } = options;
  await using lock = await acquireSiteLock(control, { who: by, what: 'prove' }, new Date());
  const signal = AbortSignal.any([options.signal, lock.lost]);
  const places = { archiveDir: site.archive.location, mirrorDir: site.archive.mirror };
  const before = await decide(opened, signal);
  const proofs: ArchiveProof[] = [];
  const run = newRunId('prove', new Date());
  for (const one of before.backups) {
    if (label === undefined ? !needsLook(one) : one.label !== label) continue;
    const proof = await proveFromArchive({
      ...places,
      label: one.label,
      grade: 2,
      workers: site.archive.workers,
      signal,
      onProgress,
    });
    const now = new Date();
    const findings = [
      describeChecksums(proof.checksums),
      ...(proof.log === null ? [] : [describeLog(proof.log)]),
    ];
    const payload: Proof = { backup: one.label, grade: proof.grade, provenAt: now.toISOString(), findings };
    const record = await ledger.append(
      { kind: 'archive.checked', run, key: `${run}/${one.label}`, payload: { ...payload, by } },
      now,
    );
    await rememberArchiveProof(places.archiveDir, proof, record.hash, now);
    proofs.push(proof);
  }
  const decision = await decide(opened, signal);
  const needRestore = decision.backups
    .filter(({ due, wanted, grade }) => due.length > 0 && wanted > 2 && (grade ?? -1) >= 2)
    .map(({ label, grade, wanted }) => ({ label, grade, wanted }));
  return { decision, proofs, needRestore };
}

function needsLook({ due, grade }: ProofDecision['backups'][number]): boolean {
  // One that only lacks the grades above 2 waits for a restore.
  return due.length > 0 && ((grade ?? 0) < 2 || due.some((reason) => reason.startsWith('last checked')));
}

async function decide({ site, ledger }: OpenedSite, signal: AbortSignal): Promise<ProofDecision> {
  const { location, mirror, minimumGrade, maximumAge } = site.archive;
  const { catalog } = await readArchive({ archiveDir: location, mirrorDir: mirror }, signal);
  const archive = await openArchive(location);
  const records = new Map<string, readonly ProofRecord[]>();
  for (const { label } of catalog.backups) records.set(label, await readGrades(archive, label));
  const policy = { minimumGrade: minimumGrade as Grade, maximumAgeMs: maximumAge, recheckMs };
  return decideProof(catalog, records, policy, await readAcknowledged(ledger), Date.now());
}

export interface GapToAcknowledge {
  incarnation: number;
  from: string;
  to: string;
  by: string;
  why: string;
}

/** The gap of the site's log that lies between two positions. Throws `usage` where there is none, or more than one. */
export async function findGapBetween(
  { site }: OpenedSite,
  wanted: { from: bigint; to: bigint; incarnation: number | undefined },
  signal: AbortSignal,
): Promise<{ incarnation: number }> {
  const { location, mirror } = site.archive;
  const { catalog } = await readArchive({ archiveDir: location, mirrorDir: mirror }, signal);
  // A warning names CURRENT's part of a hole, a catalog the whole of it.
  const all = [...findGaps(catalog), ...findCurrentGaps(catalog)];
  const found = all.filter(
    ({ incarnation, from, to }) =>
      wanted.from <= from && to <= wanted.to && (wanted.incarnation ?? incarnation) === incarnation,
  );
  const [first, another] = found;
  const shown = [
    ...new Set(all.map(({ incarnation, from, to }) => `${from}..${to} of incarnation ${incarnation}`)),
  ];
  if (first === undefined) {
    throw new ClonaError('usage', `the log has no gap within ${wanted.from}..${wanted.to}`, {
      hint: all.length === 0 ? 'it has none at all' : `it has: ${shown.slice(0, 20).join(', ')}`,
    });
  }
  if (another === undefined || another.incarnation === first.incarnation) return first;
  throw new ClonaError('usage', `several incarnations have a gap within ${wanted.from}..${wanted.to}`, {
    hint: `say which with --incarnation: ${shown.slice(0, 20).join(', ')}`,
  });
}

/** Puts on record that somebody has looked at a gap of the log, and why it may stay. */
export async function acknowledgeGap(
  { ledger }: OpenedSite,
  gap: GapToAcknowledge,
  now: Date,
): Promise<void> {
  const run = newRunId('acknowledge', now);
  await ledger.append({ kind: 'gap.acknowledged', run, key: `${run}/gap`, payload: { ...gap } }, now);
}

export async function readAcknowledged(
  ledger: Pick<OpenedSite['ledger'], 'list'>,
): Promise<AcknowledgedGap[]> {
  const records = await ledger.list({ kinds: ['gap.acknowledged'] });
  return records.map(({ time, payload }) => {
    const { incarnation, from, to, by, why } = payload as unknown as GapToAcknowledge;
    return { incarnation, from: parsePosition(from, 'gap'), to: parsePosition(to, 'gap'), by, why, at: time };
  });
}
