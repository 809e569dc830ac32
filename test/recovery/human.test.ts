import { expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { explainIncarnations, explainPlan, showSpan } from '../../src/recovery/explain.ts';
import { listIncarnations } from '../../src/recovery/incarnations.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { drawHistory } from '../../src/recovery/picture/svg.ts';
import { sketchHistory } from '../../src/recovery/picture/terminal.ts';
import { planRecovery } from '../../src/recovery/plan.ts';
import { asPosition } from '../../src/recovery/position.ts';
import { parseUntil, type Question } from '../../src/recovery/question.ts';
import { explainRetention } from '../../src/retention/explain.ts';
import { decideRetention } from '../../src/retention/retention.ts';
import { bk, catalogOf, inc, log, online } from './build.ts';
import { readGoldenCases } from './golden.ts';

/**
 * What people read, word by word, in test/golden/human. After a change of words: `vitest run -u` on this file, and
 * read the difference.
 */
const golden = (name: string): string => `../golden/human/${name}`;

function example(): Catalog {
  const found = readGoldenCases().find(({ name }) => name === 'example-after-4-latest');
  return parseCatalog(JSON.stringify(found!.catalog));
}

/** Every reason, every warning, every step there is. */
const hour = (h: number): string => `2024-05-01T${String(h).padStart(2, '0')}:00:00Z`;
const everything = catalogOf({
  currentIncarnation: 2,
  incarnations: [inc(1), inc(2, 1, 200), inc(3, 1, 150)],
  backups: [
    bk('COLD', 100, 100, { kind: 'cold', device: null }),
    bk('FULL', 110, 120, { grade: 3 }),
    bk('INC1', 130, 140, { requires: ['FULL'], finishedAt: hour(5) }),
    bk('INC2', 130, 140, { requires: ['FULL', 'INC1'], grade: null, finishedAt: hour(6) }),
    bk('TWIN', 130, 140, { grade: null, finishedAt: hour(6) }),
    bk('OLD', 130, 140, { grade: null, finishedAt: hour(4) }),
    bk('OWN', 125, 135, { ownLog: true }),
    bk('RUN', 150, null, { finishedAt: null }),
    bk('LATE', 190, 210),
    bk('ORPHAN', 155, 160, { incarnation: 3, kind: 'hot' }),
    bk('GONE', 128, 138, { state: 'missing' }),
    bk('BROKEN', 128, 138, { requires: ['GONE'] }),
    bk('NEW', 230, 240, { incarnation: 2, kind: 'hot', finishedAt: hour(11) }),
    bk('PIN', 101, 102, { pinned: true }),
    bk('PINGONE', 101, 102, { pinned: true, state: 'expired' }),
    bk('EXP', 145, 145, { kind: 'export', consistent: false, device: 'tape' }),
    bk('EXP2', 146, 146, { kind: 'export', requires: ['FULL'] }),
    bk('BAD', 147, 147, { kind: 'export', state: 'damaged', requires: ['RUN'] }),
  ],
  logs: [
    log(1, 90, 150, { firstTime: hour(1), nextTime: hour(7) }),
    log(2, 150, 215, { firstTime: hour(7), nextTime: hour(9) }),
    log(1, 200, 220, { incarnation: 2, firstTime: hour(10), nextTime: hour(12) }),
    log(2, 220, 235, { incarnation: 2, state: 'damaged', firstTime: hour(12), nextTime: hour(13) }),
    log(3, 235, 260, { incarnation: 2, firstTime: hour(13), nextTime: hour(15) }),
    log(1, 150, 170, { incarnation: 3, firstTime: hour(8), nextTime: hour(9) }),
  ],
  onlineLogs: [online(260, 280, { incarnation: 2, firstTime: hour(15), endTime: '2024-05-02T16:00:05Z' })],
  changesWithoutRedo: [
    { incarnation: 1, position: asPosition(145n), object: 'ERP.STAGE', how: 'NOLOGGING' },
    { incarnation: 1, position: null, object: 'erp.cache', how: 'UNLOGGED' },
  ],
});

const questions: [string, Partial<Question>?][] = [
  ['latest'],
  ['latest', { lost: 'online-log' }],
  ['latest', { lost: 'all-logs' }],
  ['latest', { logOnly: 'cleanly' }],
  ['position:150', { lost: 'online-log', logOnly: 'crashed' }],
  ['position:100'],
  ['position:135'],
  ['position:180'],
  ['position:225'],
  ['position:95'],
  [`time:${hour(2)}`],
  [`time:${hour(6)}`],
  [`time:${hour(14)}`, { lost: 'everything' }],
  ['incarnation:3'],
  ['incarnation:3@500'],
  ['backup:EXP'],
  ['backup:EXP2'],
  ['backup:BAD'],
  ['backup:RUN'],
  ['backup:FULL'],
  ['backup:OWN', { lost: 'all-logs' }],
];

function explainAll(catalog: Catalog): string {
  return questions
    .map(([until, more]) => {
      const question: Question = { until: parseUntil(until), lost: 'database', ...more };
      return `### ${until} ${JSON.stringify(more ?? {})}\n\n${explainPlan(catalog, planRecovery(catalog, question))}\n`;
    })
    .join('\n');
}

test.for(['oracle', 'postgres'] as const)('plans of %s', async (engine) => {
  await expect(explainAll({ ...everything, engine })).toMatchFileSnapshot(golden(`plans-${engine}.txt`));
});

test('plans of small catalogs', async () => {
  const timed = { firstTime: hour(3), nextTime: hour(5) };
  const whole = catalogOf({
    backups: [bk('B', 10, 20), bk('N', 50, 60), bk('I', 50, 60, { grade: 2, requires: ['B', 'N'] })],
    logs: [log(1, 1, 50)],
    onlineLogs: [online(50, 80, { firstTime: hour(3), endTime: hour(5) })],
  });
  const halfTimed = {
    ...whole,
    logs: [log(1, 1, 30, timed), log(2, 30, 50)],
    onlineLogs: [online(50, 80)],
  };
  const exports = catalogOf({
    backups: [
      bk('E1', 5, 5, { kind: 'export', requires: ['E2', 'E3'], device: null }),
      bk('E2', 5, 5, { kind: 'export' }),
      bk('E3', 5, 5, { kind: 'export' }),
      bk('E4', 5, 5, { kind: 'export' }),
    ],
  });
  const running = catalogOf({
    backups: [
      bk('R1', 5, 5, { kind: 'export', finishedAt: null }),
      bk('R2', 5, null, { kind: 'export' }),
      bk('R3', 5, 5, { kind: 'export', state: 'expired' }),
    ],
  });
  const twenty = catalogOf({
    backups: Array.from({ length: 21 }, (_, index) => bk(`B${index}`, 10 + index, 20 + index)),
    logs: [log(1, 1, 50)],
  });
  const asked: [Catalog, string, Partial<Question>?][] = [
    [whole, 'latest'],
    [whole, 'position:40'],
    [whole, 'latest', { lost: 'online-log' }],
    [halfTimed, 'position:20'],
    [{ ...whole, logs: [log(1, 1, 50)], backups: [bk('B', 10, 20)] }, 'latest'],
    [exports, 'latest'],
    [exports, 'backup:E1'],
    [running, 'latest'],
    [catalogOf({}), 'latest'],
    [twenty, 'latest'],
  ];
  const texts = asked.map(([catalog, until, more]) => {
    const question: Question = { until: parseUntil(until), lost: 'database', ...more };
    return `### ${until} ${JSON.stringify(more ?? {})}\n\n${explainPlan(catalog, planRecovery(catalog, question))}\n`;
  });
  await expect(texts.join('\n')).toMatchFileSnapshot(golden('plans-small.txt'));
});

test('a long plan names the first logs and the first backups only', async () => {
  const long = catalogOf({
    backups: Array.from({ length: 30 }, (_, index) => bk(`B${index}`, 10 + index, 20 + index)),
    logs: Array.from({ length: 20 }, (_, index) => log(index, index * 10, index * 10 + 10)),
  });
  const answer = planRecovery(long, { until: { kind: 'latest' }, lost: 'database' });
  await expect(explainPlan(long, answer)).toMatchFileSnapshot(golden('plan-long.txt'));
});

test('refused questions', async () => {
  const long = 'x'.repeat(70);
  const texts = [
    '',
    'newest',
    'backups',
    'positions',
    'times',
    ':5',
    'LATEST',
    `${long}:1`,
    'backup:',
    'position:',
    'position:-1',
    `position:${long}`,
    'position:18446744073709551616',
    'time:',
    'time:noon',
    `time:${long}`,
    'time:2024-05-01T00:00:00',
    'incarnation:',
    'incarnation:0',
    'incarnation:01',
    'incarnation:-1',
    'incarnation:+1',
    'incarnation: 1',
    'incarnation:1 ',
    'incarnation:1e3',
    'incarnation:x1',
    'incarnation:1x',
    'incarnation:1.5',
    'incarnation:@5',
    'incarnation:9007199254740993',
    `incarnation:${long}`,
    'incarnation:1@',
    'incarnation:1@-1',
    'incarnation:33',
    'incarnation:40@5',
    'backup:NOPE',
  ];
  const many = catalogOf({ incarnations: Array.from({ length: 21 }, (_, index) => inc(index + 1)) });
  const refusals = texts.map((text) => {
    try {
      planRecovery(many, { until: parseUntil(text), lost: 'database' });
    } catch (error) {
      if (!(error instanceof ClonaError)) throw error;
      return `${error.code} ${error.message}\n  ${error.hint ?? '-'}`;
    }
    return `${text} was answered`;
  });
  await expect(`${refusals.join('\n')}\n`).toMatchFileSnapshot(golden('refused-questions.txt'));
});

test('the table of incarnations', async () => {
  const catalog = example();
  const table = explainIncarnations('oracle', listIncarnations(catalog));
  const lsn = explainIncarnations('postgres', listIncarnations(everything));
  await expect(`${table}\n\n${lsn}\n`).toMatchFileSnapshot(golden('incarnations.txt'));
});

test('verdicts of retention', async () => {
  const policies = [
    { redundancy: 0, windowDays: 0, orphanDays: 0 },
    { redundancy: 2, windowDays: 0.3, orphanDays: 1 },
    { redundancy: 0, windowDays: 0, orphanDays: 0.1 },
  ];
  const texts = policies.map((policy) =>
    explainRetention(everything, decideRetention(everything, policy, Date.parse(hour(12)))),
  );
  const many = catalogOf({
    backups: [bk('B', 900)],
    logs: Array.from({ length: 30 }, (_, index) => log(index, index, index + 1)),
  });
  texts.push(explainRetention(many, decideRetention(many, policies[0]!, 0)));
  const none = catalogOf({ engine: 'postgres', backups: [], logs: [log(1, 1, 5)] });
  texts.push(explainRetention(none, decideRetention(none, policies[0]!, 0)));
  await expect(`${texts.join('\n\n')}\n`).toMatchFileSnapshot(golden('retention.txt'));
});

test('the pictures', async () => {
  const retention = decideRetention(
    everything,
    { redundancy: 1, windowDays: 0, orphanDays: 0 },
    Date.parse(hour(12)),
  );
  const extras = {
    plan: planRecovery(everything, { until: parseUntil('position:218'), lost: 'database' }),
    marks: new Map(retention.lowWaterMarks.map(({ incarnation, position }) => [incarnation, position])),
    obsolete: new Set(retention.backups.filter(({ keep }) => !keep).map(({ label }) => label)),
  };
  const unreachable = {
    plan: planRecovery(everything, { until: parseUntil('position:50'), lost: 'database' }),
  };
  const two = {
    ...everything,
    logs: [...everything.logs, log(1, 95, 120, { thread: 2 }), log(3, 130, 190, { thread: 2 })],
  };
  await expect(drawHistory(everything, extras)).toMatchFileSnapshot(golden('history.svg'));
  await expect(drawHistory(two, unreachable)).toMatchFileSnapshot(golden('history-unreachable.svg'));
  await expect(drawHistory(catalogOf({}))).toMatchFileSnapshot(golden('history-empty.svg'));
  const sketches = [
    sketchHistory(everything, extras),
    sketchHistory(two, unreachable, 70),
    sketchHistory(example(), {}, 120),
    sketchHistory(catalogOf({}), {}),
  ];
  await expect(`${sketches.join('\n\n')}\n`).toMatchFileSnapshot(golden('sketches.txt'));
});

test.for([
  [0, '0 s'],
  [-5, '0 s'],
  [499, '0 s'],
  [500, '1 s'],
  [59_999, '1 min'],
  [61_000, '1 min 1 s'],
  [3_600_000, '1 h'],
  [3_605_000, '1 h'],
  [3_660_000, '1 h 1 min'],
  [90_000_000, '1 d 1 h'],
  [172_805_000, '2 d'],
] as const)('%i ms are %s', ([milliseconds, text]) => {
  expect(showSpan(milliseconds)).toBe(text);
});
