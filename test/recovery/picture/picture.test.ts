import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { XMLValidator } from 'fast-xml-parser';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Catalog } from '../../../src/recovery/catalog.ts';
import { layHistory, type HistoryExtras } from '../../../src/recovery/picture/layout.ts';
import { makeScale } from '../../../src/recovery/picture/scale.ts';
import { drawHistory } from '../../../src/recovery/picture/svg.ts';
import { sketchHistory } from '../../../src/recovery/picture/terminal.ts';
import { planRecovery } from '../../../src/recovery/plan.ts';
import { asPosition } from '../../../src/recovery/position.ts';
import { parseUntil } from '../../../src/recovery/question.ts';
import { decideRetention } from '../../../src/retention/retention.ts';
import { anyCatalog } from '../arbitrary.ts';
import { bk, catalogOf, inc, log, online } from '../build.ts';
import { readGoldenCases } from '../golden.ts';

/** Two branches left behind, a gap in 1, the way from B2 on 2 into 4. */
const history = catalogOf({
  currentIncarnation: 4,
  incarnations: [inc(1), inc(2, 1, 200), inc(3, 2, 400), inc(4, 2, 300)],
  backups: [
    bk('B1', 100),
    bk('B2', 250, 261, { incarnation: 2, finishedAt: '2024-05-02T00:00:00Z' }),
    bk('GONE', 270, 280, { incarnation: 2, state: 'damaged', kind: 'hot' }),
    bk('EXP', 290, 290, { incarnation: 2, kind: 'export' }),
    bk('B3', 500, 500, { incarnation: 3, kind: 'cold' }),
  ],
  logs: [
    log(1, 1, 60),
    log(2, 80, 200),
    log(1, 200, 300, { incarnation: 2 }),
    log(1, 400, 600, { incarnation: 3 }),
    log(1, 300, 380, { incarnation: 4 }),
  ],
  onlineLogs: [online(380, 412, { incarnation: 4 })],
});

function extrasOf(catalog: Catalog, until: string): HistoryExtras {
  const { backups, lowWaterMarks } = decideRetention(
    catalog,
    { redundancy: 1, windowDays: 0, orphanDays: 0 },
    0,
  );
  return {
    plan: planRecovery(catalog, { until: parseUntil(until), lost: 'database' }),
    marks: new Map(lowWaterMarks.map(({ incarnation, position }) => [incarnation, position])),
    obsolete: new Set(backups.filter(({ keep }) => !keep).map(({ label }) => label)),
  };
}

test('the SVG shows branches, gaps, backups by kind and state, marks, the target and the way', () => {
  const svg = drawHistory(history, extrasOf(history, 'latest'));
  expect(XMLValidator.validate(svg)).toBe(true);
  for (const text of [
    'CURRENT',
    'PARENT',
    'ORPHAN',
    'ALWM 250',
    'until 412',
    'B2: managed, start 250, consistent from 261',
  ]) {
    expect(svg).toContain(text);
  }
  expect(svg).toContain('no usable log of thread 1 for [60, 80)');
  expect(svg).toContain('B3: cold, start 500, consistent from 500, available, OBSOLETE');
  expect(svg).toContain('given up when the history branched at 300');
  expect(svg.match(/<path class="way"/g)).toHaveLength(2);
});

test('an unreachable target is marked as such, without a way', () => {
  const extras = extrasOf(history, 'position:70');
  expect(drawHistory(history, extras)).toContain('unreachable: 70');
  expect(drawHistory(history, extras)).not.toContain('<path class="way"');
  expect(sketchHistory(history, extras)).toContain('⊗ unreachable: 70');
});

test('labels and names cannot break out of the SVG', () => {
  const hostile = { ...history, database: '</text><script>&"\u0001', backups: [bk('<&">\u0000', 100)] };
  const svg = drawHistory(hostile);
  expect(XMLValidator.validate(svg)).toBe(true);
  expect(svg).not.toContain('<script');
  expect(svg).toContain('>History of &#60;/text&#62;&#60;script&#62;&#38;&#34;\uFFFD<');
  expect(svg).toContain('>&#60;&#38;&#34;&#62;\uFFFD<');
});

test('what is known of no position is not drawn, and what has no start says so', () => {
  const few = catalogOf({
    incarnations: [inc(1, null, 10)],
    backups: [
      bk('NOWHERE', 0, null, { kind: 'export', start: null }),
      bk('SOMEWHERE', 0, 50, { kind: 'export', start: null }),
    ],
  });
  const svg = drawHistory(few);
  expect(svg).toContain('SOMEWHERE: export, start none, consistent from 50, available');
  expect(svg).not.toContain('NOWHERE:');
  expect(svg).not.toContain('class="fuzzy"');
  expect(sketchHistory(few).split('\n')[1]!.trim()).toBe('▾');
  expect(layHistory(few, {}).lanes).toMatchObject([{ from: 10n, to: 10n }]);
});

test('a lane reaches over all that is known of it, also where that begins before its branch', () => {
  const lanesOf = (parts: Partial<Catalog>) =>
    layHistory(catalogOf({ incarnations: [inc(1, null, 10), inc(2, 1, 50)], ...parts }), {}).lanes.map(
      ({ from, to }) => [from, to],
    );
  expect(lanesOf({})).toEqual([
    [10n, 50n],
    [50n, 50n],
  ]);
  expect(lanesOf({ backups: [bk('B', 5, 60), bk('RUN', 70, null)] })).toEqual([
    [5n, 70n],
    [50n, 50n],
  ]);
  expect(lanesOf({ backups: [bk('RUN', 70, null)] })[0]).toEqual([10n, 70n]);
  expect(lanesOf({ logs: [log(1, 40, 80, { incarnation: 2 })] })[1]).toEqual([40n, 80n]);
  expect(lanesOf({ onlineLogs: [online(60, 90), online(95, 99, { incarnation: 2 })] })).toEqual([
    [10n, 90n],
    [50n, 50n],
  ]);
});

test('threads are drawn in order, gaps only where something is missing, an empty online log not at all', () => {
  const { lanes } = layHistory(
    catalogOf({
      logs: [
        log(1, 1, 20, { thread: 2 }),
        log(3, 30, 40),
        log(1, 1, 20),
        log(2, 20, 30, { state: 'damaged' }),
        log(4, 40, 50, { state: 'missing' }),
      ],
      onlineLogs: [online(50, 50), online(50, 60, { thread: 2 })],
    }),
    {},
  );
  expect(lanes[0]).toMatchObject({
    online: [{ from: 50n, to: 60n, thread: 2 }],
    threads: [
      {
        thread: 1,
        held: [
          { from: 1n, to: 20n },
          { from: 30n, to: 40n },
        ],
        gaps: [
          { from: 20n, to: 30n },
          { from: 40n, to: 50n },
        ],
      },
      { thread: 2, held: [{ from: 1n, to: 20n }], gaps: [] },
    ],
  });
});

test('a branch lies below what it left, the latest branch first', () => {
  const catalog = catalogOf({
    incarnations: [inc(1), inc(2, 1, 50), inc(3, 1, 20), inc(4, 1, 70), inc(5, 2, 60), inc(6, null, 5)],
  });
  expect(layHistory(catalog, {}).lanes.map(({ id }) => id)).toEqual([1, 4, 2, 5, 3, 6]);
});

test('the way comes down from the parent only where the parent is on it', () => {
  const wayOf = (until: string): (string | undefined)[] =>
    [...drawHistory(history, extrasOf(history, until)).matchAll(/<path class="way" d="([^"]*)"/g)].map(
      ([, d]) => d?.replaceAll(/[\d.]+/g, '#'),
    );
  expect(wayOf('incarnation:3@550')).toEqual(['M# # L# #']);
  expect(wayOf('latest')).toEqual(['M# # L# #', 'M# # L# # L# #']);
});

test.for([
  ['at the right edge', catalogOf({ logs: [log(1, 1, 100)], backups: [bk('B', 10)] }), 'latest', 'end', -5],
  ['elsewhere', history, 'incarnation:2@290', 'start', 5],
] as const)('the target %s is written where there is room', ([, catalog, until, anchor, shift]) => {
  const svg = drawHistory(catalog, extrasOf(catalog, until));
  const [, at] = /<line class="target" x1="([\d.]+)"/.exec(svg) ?? [];
  expect(svg).toContain(`<text class="target-text" x="${Number(at) + shift}" y=`);
  expect(svg).toContain(`text-anchor="${anchor}">until`);
});

test('only what was given up is drawn as given up', () => {
  const exact = { ...history, logs: [log(1, 1, 200)], backups: [], incarnations: history.incarnations };
  expect(drawHistory({ ...exact, currentIncarnation: 2 })).not.toContain('given up');
  const late = { ...exact, logs: [log(1, 1, 201)] };
  expect(drawHistory({ ...late, currentIncarnation: 2 })).toContain(
    'given up when the history branched at 200',
  );
});

test('in the terminal a label is written where it fits, else only its mark', () => {
  for (let length = 1; length <= 40; length += 1) {
    const label = 'x'.repeat(length);
    const catalog = catalogOf({ backups: [bk(label, 60)], logs: [log(1, 1, 100)] });
    const row = sketchHistory(catalog, {}, 60).split('\n')[1]!;
    const at = row.indexOf('▾');
    expect(row.slice(at)).toBe(at + 1 + length <= 59 ? `▾${label}` : '▾');
  }
});

test('in the terminal a backup stands before a branch that passes, also right behind the label of another', () => {
  const rowOf = (...labels: string[]): string => {
    const catalog = catalogOf({
      incarnations: [inc(1), inc(2, 1, 50), inc(3, 1, 70)],
      backups: labels.map((label, index) => bk(label, 50 - 20 * index, 50 - 20 * index, { incarnation: 3 })),
      logs: [log(1, 1, 100), log(1, 30, 40, { incarnation: 3 })],
    });
    return sketchHistory(catalog, {}, 80).split('\n')[3]!;
  };
  const at = rowOf('X').indexOf('▾X');
  expect(rowOf('X')).toMatch(/▾X +│/);
  const room = at - rowOf('X', 'y').indexOf('▾y') - 2;
  for (let length = 1; length <= room; length += 1) {
    expect(rowOf('X', 'y'.repeat(length)).indexOf('▾X')).toBe(at);
  }
  expect(rowOf('X', 'y'.repeat(room + 1))).not.toContain('▾X');
});

test('the terminal shows the same', () => {
  const sketch = sketchHistory(history, extrasOf(history, 'latest'), 80);
  const rows = sketch.split('\n');
  expect(rows.find((row) => row.startsWith('1 PARENT'))).toMatch(/├─+×+─+┬/);
  expect(rows.find((row) => row.startsWith('2 PARENT'))).toMatch(/└─+═+┬/);
  expect(rows.find((row) => row.startsWith('4 CURRENT'))).toMatch(/└═+◎/);
  expect(sketch).toContain('▾GONE✗');
  expect(sketch).toContain('▲ALWM 250');
  expect(Math.max(...rows.slice(0, -1).map(({ length }) => length))).toBeLessThanOrEqual(80);
});

test('any history with any question can be drawn', () => {
  fc.assert(
    fc.property(anyCatalog, fc.constantFrom('latest', 'position:20', 'position:0'), (catalog, until) => {
      const extras = extrasOf(catalog, until);
      expect(XMLValidator.validate(drawHistory(catalog, extras))).toBe(true);
      expect(sketchHistory(catalog, extras, 60)).toContain('archived log');
    }),
    { numRuns: Number(process.env['CLONA_HISTORIES'] ?? 300) },
  );
});

test('of very many incarnations the path of CURRENT is drawn, and how many are not', () => {
  const many = catalogOf({
    currentIncarnation: 100,
    incarnations: Array.from({ length: 300 }, (_, index) =>
      inc(index + 1, index === 0 ? null : index < 100 ? index : 1, index + 1),
    ),
  });
  const { lanes, hidden } = layHistory(many, {});
  expect(lanes).toHaveLength(40);
  expect(hidden).toBe(260);
  expect(lanes.map(({ id }) => id)).toContain(100);
  const svg = drawHistory(many);
  const [, height, y] = /height="(\d+)"[^]* y="(\d+)">260 more incarnations are not drawn/.exec(svg) ?? [];
  expect(Number(y)).toBeLessThan(Number(height));
  const plan = planRecovery(many, { until: parseUntil('incarnation:200@500'), lost: 'database' });
  const { lanes: withTarget } = layHistory(many, { plan });
  expect(withTarget).toHaveLength(40);
  expect(withTarget.map(({ id }) => id)).toEqual(expect.arrayContaining([81, 100, 200]));
  expect(drawHistory(many, { plan })).toContain('unreachable: 500');
  expect(sketchHistory(many)).toContain('260 more incarnations are not drawn');
});

test('many marks are drawn in proportion, few are kept apart', () => {
  const marksOf = (count: number) => [
    ...Array.from({ length: count - 1 }, (_, index) => asPosition(BigInt(index))),
    asPosition(1_000_000n),
  ];
  expect(makeScale(marksOf(80)).place(asPosition(78n))).toBeGreaterThan(0.4);
  expect(makeScale(marksOf(81)).place(asPosition(79n))).toBeCloseTo(0.000079, 9);
});

test('a scale never falls, and tells its marks apart', () => {
  const position = fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(asPosition);
  fc.assert(
    fc.property(fc.array(position, { minLength: 1, maxLength: 60 }), fc.array(position), (marks, others) => {
      const scale = makeScale(marks);
      const rising = [...marks, ...others].sort((a, b) => (a < b ? -1 : Number(a > b))).map(scale.place);
      for (const [index, place] of rising.entries()) {
        expect(place).toBeGreaterThanOrEqual(index === 0 ? 0 : rising[index - 1]!);
        expect(place).toBeLessThanOrEqual(1 + 1e-9);
      }
      expect(new Set(scale.marks.map(scale.place)).size).toBe(scale.marks.length);
    }),
  );
});

test.skipIf(process.env['CLONA_NO_PROCESSES'] === '1')(
  'clona incarnations --svg writes the picture and nothing beside it',
  () => {
    const folder = mkdtempSync(join(tmpdir(), 'clona-picture-'));
    try {
      const found = readGoldenCases().find(({ name }) => name === 'example-after-4-latest');
      const file = join(folder, 'catalog.json');
      writeFileSync(file, JSON.stringify(found!.catalog));
      const policy = join(folder, 'policy.json');
      writeFileSync(policy, '{"redundancy":1}');
      const svg = join(folder, 'history.svg');
      const launcher = fileURLToPath(new URL('../../../bin/clona.js', import.meta.url));
      const words = [
        'incarnations',
        '--catalog',
        file,
        '--svg',
        svg,
        '--until',
        'incarnation:3@450',
        '--policy',
        policy,
      ];
      const { status, stdout } = spawnSync(
        process.execPath,
        [launcher, ...words, '--now', '2017-03-08T18:07:12Z'],
        { encoding: 'utf8' },
      );
      expect(status).toBe(0);
      expect(stdout).toContain(' -> 1 -> 2 -> 4'.trim());
      expect(stdout).toContain('◎ until 450');
      expect(XMLValidator.validate(readFileSync(svg, 'utf8'))).toBe(true);
      expect(readdirSync(folder).sort()).toEqual(['catalog.json', 'history.svg', 'policy.json']);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
