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
  expect(drawHistory(many)).toContain('260 more incarnations are not drawn');
  expect(sketchHistory(many)).toContain('260 more incarnations are not drawn');
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
