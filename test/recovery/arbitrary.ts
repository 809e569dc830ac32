import fc from 'fast-check';
import type { ArchivedLog, Backup, Catalog, Incarnation, OnlineLog } from '../../src/recovery/catalog.ts';
import { asPosition } from '../../src/recovery/position.ts';

/** Small catalogs, full of gaps, copies, orphans and oddities, that pass `checkCatalog`. */
export const day = 86_400_000;
export const epoch = Date.parse('2024-05-01T00:00:00Z');

const position = (from: number, to: number) => fc.integer({ min: from, max: to });
const state = fc.constantFrom(
  'available',
  'available',
  'available',
  'missing',
  'damaged',
  'expired' as const,
);

/** Hours after the epoch, now and then written with another offset. */
const time = fc.tuple(fc.integer({ min: 0, max: 60 }), fc.boolean()).map(([hours, shifted]) => {
  const at = new Date(epoch + hours * 3_600_000 + (shifted ? 7_200_000 : 0)).toISOString().slice(0, 19);
  return shifted ? `${at}+02:00` : `${at}Z`;
});

function incarnations(count: number): fc.Arbitrary<Incarnation[]> {
  return fc
    .tuple(
      fc.array(fc.nat({ max: 100 }), { minLength: count, maxLength: count }),
      fc.array(position(1, 12), { minLength: count, maxLength: count }),
      fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7], { minLength: count, maxLength: count }),
    )
    .map(([parents, steps, ids]) => {
      const made: Incarnation[] = [];
      for (let index = 0; index < count; index += 1) {
        // Now and then a second root.
        const parent = index === 0 || parents[index]! % 17 === 16 ? null : made[parents[index]! % index]!;
        const branch = (parent === null ? 0 : Number(parent.branchPosition)) + steps[index]!;
        made.push({
          id: ids[index]!,
          parent: parent?.id ?? null,
          branchPosition: asPosition(BigInt(branch)),
          openedAt: null,
        });
      }
      return made;
    });
}

function backup(ids: number[], label: string): fc.Arbitrary<Backup> {
  return fc
    .record({
      incarnation: fc.constantFrom(...ids),
      kind: fc.constantFrom('hot', 'managed', 'managed', 'quiesced', 'cold', 'export' as const),
      start: position(0, 30),
      fuzz: fc.constantFrom(0, 0, 1, 3, 8),
      runs: fc.constantFrom('done', 'done', 'done', 'done', 'done', 'done', 'inconsistent', 'unfinished'),
      finishedAt: time,
      state,
      ownLog: fc.boolean(),
      grade: fc.constantFrom(null, 0, 1, 3, 6),
      pinned: fc.constantFrom(false, false, false, false, true),
    })
    .map(({ incarnation, kind, start, fuzz, runs, finishedAt, state, ownLog, grade, pinned }) => ({
      label,
      incarnation,
      kind,
      start: asPosition(BigInt(start)),
      consistentFrom: runs === 'inconsistent' ? null : asPosition(BigInt(start + fuzz)),
      startedAt: null,
      finishedAt: runs === 'unfinished' ? null : finishedAt,
      device: null,
      state,
      ownLog,
      grade,
      pinned,
      bytes: null,
    }));
}

const mostlyThere = fc.integer({ min: 0, max: 19 }).map((pick) => (pick === 0 ? 'missing' : 'available'));

function logRun(
  ids: number[],
  firstFrom: number,
  firstTo: number,
  whole: boolean,
): fc.Arbitrary<ArchivedLog[]> {
  const piece = fc.record({
    length: position(1, 12),
    state: whole ? mostlyThere : state,
    skip: whole ? fc.constant(0) : fc.constantFrom(0, 0, 0, 0, 0, 2),
    copies: fc.constantFrom(1, 1, 1, 2),
    copyState: state,
    times: fc.option(fc.tuple(time, time), { freq: 4 }),
  });
  return fc
    .record({
      incarnation: fc.constantFrom(...ids),
      thread: whole ? fc.constantFrom(1, 1, 1, 1, 2) : fc.constantFrom(1, 1, 1, 2),
      first: position(firstFrom, firstTo),
      pieces: fc.array(piece, { minLength: whole ? 2 : 0, maxLength: 6 }),
    })
    .map(({ incarnation, thread, first, pieces }) => {
      let at = first;
      const logs: ArchivedLog[] = [];
      for (const [sequence, { length, state, skip, copies, copyState, times }] of pieces.entries()) {
        at += skip;
        for (let copy = 0; copy < copies; copy += 1) {
          logs.push({
            incarnation,
            thread,
            sequence,
            first: asPosition(BigInt(at)),
            next: asPosition(BigInt(at + length)),
            firstTime: times?.[0] ?? null,
            nextTime: times?.[1] ?? null,
            state: copy === 0 ? state : copyState,
          });
        }
        at += length;
      }
      return logs;
    });
}

function onlineLog(ids: number[]): fc.Arbitrary<OnlineLog> {
  return fc
    .record({
      incarnation: fc.constantFrom(...ids),
      thread: fc.constantFrom(1, 1, 2),
      first: position(0, 50),
      length: position(0, 12),
      times: fc.option(fc.tuple(time, time), { freq: 4 }),
    })
    .map(({ incarnation, thread, first, length, times }) => ({
      incarnation,
      thread,
      first: asPosition(BigInt(first)),
      end: asPosition(BigInt(Math.min(first + length, 60))),
      firstTime: times?.[0] ?? null,
      endTime: times?.[1] ?? null,
    }));
}

/** Chains only towards earlier labels, so that there is no circle. */
function withChains(backups: Backup[], picks: number[]): Backup[] {
  return backups.map((one, index) => {
    const pick = picks[index]!;
    return index > 0 && pick % 4 === 0 ? { ...one, requires: [backups[pick % index]!.label] } : one;
  });
}

export const anyCatalog: fc.Arbitrary<Catalog> = fc.integer({ min: 1, max: 5 }).chain((count) =>
  incarnations(count).chain((made) => {
    const ids = made.map(({ id }) => id);
    // Code units, not numbers nor locales.
    const labels = ['b1', 'B9', 'B10', 'a2', 'Ä', 'B2'];
    return fc
      .record({
        engine: fc.constantFrom('oracle', 'oracle', 'postgres' as const),
        currentIncarnation: fc.constantFrom(...ids),
        backups: fc.tuple(...labels.map((label) => backup(ids, label))),
        used: fc.nat({ max: labels.length }),
        picks: fc.array(fc.nat({ max: 1000 }), { minLength: labels.length, maxLength: labels.length }),
        runs: fc.oneof(
          fc.array(logRun(ids, 0, 20, false), { maxLength: 7 }),
          // One run for each incarnation, from about its branch on: what a healthy archive looks like.
          fc.tuple(
            ...made.map(({ id, branchPosition }) =>
              logRun([id], Math.max(0, Number(branchPosition) - 4), Number(branchPosition), true),
            ),
          ),
        ),
        onlineLogs: fc.array(onlineLog(ids), { maxLength: 3 }),
        // A catalog may list children before their parents.
        listed: fc.shuffledSubarray(made, { minLength: count, maxLength: count }),
      })
      .map(({ engine, currentIncarnation, backups, used, picks, runs, onlineLogs, listed }) => ({
        engine,
        database: 'ERP',
        currentIncarnation,
        incarnations: listed,
        backups: withChains(backups.slice(0, used), picks),
        logs: runs.flat().filter(({ next }) => next <= 60n),
        onlineLogs,
      }));
  }),
);

export const anyInstant = fc.integer({ min: -2, max: 64 * 4 }).map((quarters) => epoch + quarters * 900_000);
