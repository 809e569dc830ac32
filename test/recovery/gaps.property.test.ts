import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { findCurrentGaps, findGaps, type LogGap } from '../../src/recovery/gaps.ts';
import { readLineage, tracePath } from '../../src/recovery/lineage.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { asPosition } from '../../src/recovery/position.ts';
import { readReach } from '../../src/recovery/reach.ts';
import { liesOn } from '../../src/recovery/serve.ts';
import { anyCatalog } from './arbitrary.ts';
import { catalogOf, log } from './build.ts';
import { ask, cutIn, lowest, pathOf, running, serves } from './reference.ts';

const runs = Number(process.env['CLONA_RUNS'] ?? 1500);

/** On the way to `id`, by thread and position, by nothing but loops. */
function gapsByPosition(catalog: Catalog, id: number): string[] {
  const path = pathOf(catalog, id);
  const low = Math.min(
    ...catalog.backups
      .filter((one) => one.kind !== 'export' && one.state === 'available' && !running(one))
      .filter(({ incarnation }) => path.includes(incarnation))
      .filter((one) => Number(one.consistentFrom) <= cutIn(catalog, path, one.incarnation))
      .map(lowest),
  );
  const logs = [
    ...catalog.logs.map((one) => ({ ...one, end: one.next })),
    ...catalog.onlineLogs
      .filter(({ incarnation }) => incarnation === catalog.currentIncarnation)
      .map((one) => ({ ...one, state: 'available' })),
  ]
    .filter(({ incarnation, first, end }) => path.includes(incarnation) && first < end)
    .map(({ incarnation, thread, state, first, end }) => {
      const cut = cutIn(catalog, path, incarnation);
      return { incarnation, thread, state, first: Number(first), end: Number(end), cut };
    });
  const threads = [...new Set(logs.map(({ thread }) => thread))].sort((a, b) => a - b);
  return threads.flatMap((thread) => {
    const own = logs.filter((one) => one.thread === thread);
    // Of each incarnation that has a log below where the path leaves it, up to its last log or to there.
    const begun = own.filter(({ first, cut }) => first < cut).map(({ incarnation }) => incarnation);
    const known = own.filter(({ incarnation }) => begun.includes(incarnation));
    const end = Math.max(...known.map((one) => Math.min(one.end, one.cut)));
    const runs: { owner: number; from: number; to: number }[] = [];
    for (let p = Math.min(low, ...known.map(({ first }) => first)); p < end; p += 1) {
      if (own.some((one) => one.state === 'available' && one.first <= p && p < Math.min(one.end, one.cut)))
        continue;
      const owner = path.find((one) => p < cutIn(catalog, path, one))!; // the last one has no cut
      const last = runs.at(-1);
      if (last?.owner === owner && last.to === p) last.to = p + 1;
      else runs.push({ owner, from: p, to: p + 1 });
    }
    return runs.map(({ owner, from, to }) => `${owner}/${thread}: ${from} to ${to}`);
  });
}

test('gaps are what keeps CURRENT from being reached, and nothing else does', () => {
  fc.assert(
    fc.property(anyCatalog, fc.integer({ min: 0, max: 62 }), (catalog, at) => {
      const path = tracePath(readLineage(catalog), catalog.currentIncarnation);
      const gaps = findCurrentGaps(catalog);
      const known = new Map<number, { first: bigint; end: bigint }>();
      const online = catalog.onlineLogs.filter((one) => one.incarnation === catalog.currentIncarnation);
      for (const one of [...catalog.logs, ...online]) {
        const depth = path.depthOf.get(one.incarnation);
        const cut = depth === undefined ? null : path.cuts[depth]!;
        const uncut = 'next' in one ? one.next : one.end;
        const end = cut !== null && cut < uncut ? cut : uncut;
        if (depth === undefined || one.first >= end) continue;
        const { first, end: before } = known.get(one.thread) ?? { first: one.first, end };
        known.set(one.thread, {
          first: one.first < first ? one.first : first,
          end: end > before ? end : before,
        });
      }
      for (const backup of catalog.backups) {
        const { kind, state, finishedAt, consistentFrom, start, ownLog, requires } = backup;
        if (kind === 'export' || state !== 'available' || finishedAt === null || requires !== undefined)
          continue;
        if (!liesOn(path, backup)) continue;
        const p = BigInt(at);
        const low = ownLog ? consistentFrom! : start!;
        const threads = [...known].filter(([, { first }]) => first < p).map(([thread]) => thread);
        if (p <= consistentFrom! || p <= low || threads.length === 0) continue;
        // Above all that is known there is no gap, and nothing to be reached.
        if (threads.some((thread) => known.get(thread)!.end < p)) continue;
        const until = { kind: 'position', position: asPosition(p) } as const;
        const plan = planRecovery({ ...catalog, backups: [backup] }, { until, lost: 'database' });
        const hinders = gaps.some(({ thread, from, to }) => from < p && to > low && threads.includes(thread));
        expect(plan.reachable).toBe(!hinders);
      }
    }),
    { numRuns: runs },
  );
});

test('gaps are what no log of the path holds, position by position', () => {
  fc.assert(
    fc.property(anyCatalog, (catalog) => {
      const spell = ({ incarnation, thread, from, to }: LogGap): string =>
        `${incarnation}/${thread}: ${from} to ${to}`;
      const current = gapsByPosition(catalog, catalog.currentIncarnation);
      expect(findCurrentGaps(catalog).map(spell)).toEqual(current);
      const all = catalog.incarnations.flatMap(({ id }) => gapsByPosition(catalog, id));
      const found = findGaps(catalog);
      // Each position that some way lacks stands in exactly one gap, and no two gaps of one thread touch.
      const positions = (gaps: readonly string[]): string[] =>
        gaps.flatMap((text) => {
          const [, of, from, to] = /^(.*): (\d+) to (\d+)$/.exec(text)!;
          return Array.from(
            { length: Number(to) - Number(from) },
            (_, index) => `${of}@${Number(from) + index}`,
          );
        });
      expect(positions(found.map(spell)).sort()).toEqual([...new Set(positions(all))].sort());
      for (const [index, gap] of found.entries()) {
        const before = found[index - 1];
        if (before?.incarnation === gap.incarnation && before.thread === gap.thread)
          expect(gap.from).toBeGreaterThan(before.to);
      }
      const order = found.map(({ incarnation, thread, from }) => [
        catalog.incarnations.findIndex(({ id }) => id === incarnation),
        thread,
        Number(from),
      ]);
      expect(order).toEqual(order.toSorted((a, b) => a[0]! - b[0]! || a[1]! - b[1]! || a[2]! - b[2]!));
    }),
    { numRuns: runs },
  );
});

test('gaps are found in a large catalog', () => {
  const logs = Array.from({ length: 200_000 }, (_, index) => log(index, index, index + 1));
  logs.splice(100_000, 1);
  expect(findGaps(catalogOf({ logs }))).toEqual([
    { incarnation: 1, thread: 1, from: 100_000n, to: 100_001n },
  ]);
});

test('what an archive can bring back is what the settled details say of its backups, one by one', () => {
  fc.assert(
    fc.property(anyCatalog, (catalog) => {
      const path = pathOf(catalog, catalog.currentIncarnation);
      const lost = 'online-log';
      const serving = catalog.backups
        .filter((one) => !running(one))
        .filter((one) => serves({ catalog, path, lost }, one, Number(one.consistentFrom)));
      const proven = serving.filter(({ grade }) => (grade ?? 0) >= 3);
      const end = (backups: Catalog['backups'], pick: (...ends: number[]) => number): number | null =>
        backups.length === 0 ? null : pick(...backups.map((one) => Number(one.consistentFrom)));
      const { until, backup } = ask(catalog, catalog.currentIncarnation, null, lost);
      const found = readReach(catalog);
      expect(found.newest).toEqual(until === null ? null : { position: BigInt(until), backup });
      expect([found.oldest?.position ?? null, found.newestProven?.position ?? null].map(String)).toEqual(
        [end(serving, Math.min), end(proven, Math.max)].map(String),
      );
      const named = [found.oldest?.backup, found.newestProven?.backup].filter((one) => one !== undefined);
      expect(serving.map(({ label }) => label)).toEqual(expect.arrayContaining(named));
      const leads = proven
        .map(({ label }) => ask(catalog, catalog.currentIncarnation, null, lost, label).until)
        .filter((p) => p !== null);
      expect(String(found.newestProvable)).toBe(leads.length === 0 ? 'null' : String(Math.max(...leads)));
    }),
    { numRuns: Math.min(300, runs) },
  );
});
