import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { GateFacts } from '../../src/gate/facts.ts';
import { closedConditions, conditionTable, decideGate, type ConditionName } from '../../src/gate/gate.ts';
import { goodRelease, now, policy, word } from './good-release.ts';

type Breakage = { closes: ConditionName; how: string; breakIt: (facts: GateFacts) => void };

/** One way or more to close each row of the table, and what it must be called. */
const breakages: Breakage[] = [
  { closes: 'releaseOpen', how: 'the release ended', breakIt: (f) => (f.release.state = 'rolledBack') },
  { closes: 'releaseOpen', how: 'nobody started it', breakIt: (f) => (f.release.initiator = ' ') },
  { closes: 'archiveProven', how: 'a grade too low', breakIt: (f) => (f.archive!.grade = 4) },
  {
    closes: 'archiveProven',
    how: 'a grade that is no number',
    breakIt: (f) => (f.archive!.grade = Number.NaN),
  },
  {
    closes: 'archiveYoung',
    how: 'an archive a day old',
    breakIt: (f) => (f.archive!.coversUntil = '2026-03-13T22:30:00Z'),
  },
  {
    closes: 'archiveYoung',
    how: 'an archive from the future',
    breakIt: (f) => (f.archive!.coversUntil = '2026-03-15T00:00:00Z'),
  },
  { closes: 'archiveYoung', how: 'a date that is none', breakIt: (f) => (f.archive!.coversUntil = 'soon') },
  { closes: 'stagingRestored', how: 'another backup', breakIt: (f) => (f.staging!.restoredFrom = 'B8') },
  { closes: 'stagingHeld', how: 'held by another release', breakIt: (f) => (f.staging!.heldBy = 'R0') },
  { closes: 'stagingFenced', how: 'no fence', breakIt: (f) => (f.staging!.fenced = false) },
  { closes: 'stagingMasked', how: 'no masking', breakIt: (f) => (f.staging!.maskedAt = null) },
  { closes: 'kitUnchanged', how: 'a changed kit', breakIt: (f) => (f.kit.hashNow = 'other') },
  { closes: 'kitUnchanged', how: 'a kit that is gone', breakIt: (f) => (f.kit.hashNow = null) },
  { closes: 'upgradeSucceeded', how: 'a failed kit', breakIt: (f) => (f.upgrade!.outcome = 'failed') },
  { closes: 'upgradeSucceeded', how: 'an older refresh', breakIt: (f) => (f.upgrade!.refresh = 'refresh-6') },
  { closes: 'procedureUnchanged', how: 'other steps', breakIt: (f) => (f.upgrade!.procedureHashNow = 'x') },
  { closes: 'smokePassed', how: 'one failed test', breakIt: (f) => (f.smoke!.failed = ['stock is whole']) },
  { closes: 'smokePassed', how: 'no test at all', breakIt: (f) => (f.smoke!.passed = 0) },
  { closes: 'smokePassed', how: 'changed tests', breakIt: (f) => (f.smoke!.checksHashNow = 'other') },
  { closes: 'smokePassed', how: 'another upgrade', breakIt: (f) => (f.smoke!.upgradeRun = 'upgrade-0') },
  {
    closes: 'smokePassed',
    how: 'tests before the upgrade',
    breakIt: (f) => (f.smoke!.finishedAt = '2026-03-14T18:10:00Z'),
  },
  { closes: 'rollbackRehearsed', how: 'counts not back', breakIt: (f) => (f.rehearsal!.back.counts = false) },
  { closes: 'rollbackRehearsed', how: 'another kit', breakIt: (f) => (f.rehearsal!.kitHash = 'other') },
  {
    closes: 'checklistDone',
    how: 'one item open',
    breakIt: (f) => (f.checklist!.done = [f.checklist!.done[0]!]),
  },
  { closes: 'checklistDone', how: 'older tests', breakIt: (f) => (f.checklist!.smokeRun = 'smoke-0') },
  { closes: 'requestsSent', how: 'never asked', breakIt: (f) => (f.requests = null) },
  {
    closes: 'requestsSent',
    how: 'asked before the tests',
    breakIt: (f) => (f.requests!.sentAt = '2026-03-14T18:25:00Z'),
  },
  { closes: 'departmentsConfirmed', how: 'one word missing', breakIt: (f) => (f.words = [f.words[0]!]) },
  {
    closes: 'nobodyRefused',
    how: 'a second voice refuses',
    breakIt: (f) => (f.words = [...f.words, word('Accounting', 'arno', { word: 'refuse' })]),
  },
  { closes: 'liveUnchanged', how: 'another schema', breakIt: (f) => (f.live!.fingerprint = 'schema-2') },
  { closes: 'liveUnchanged', how: 'another program', breakIt: (f) => (f.live!.programVersion = '1.9') },
  {
    closes: 'liveUnchanged',
    how: 'an old look',
    breakIt: (f) => (f.live!.observedAt = '2026-03-14T22:00:00Z'),
  },
  { closes: 'guardTaken', how: 'no guard backup', breakIt: (f) => (f.guard!.backup = null) },
  { closes: 'guardTaken', how: 'no checksums', breakIt: (f) => (f.guard!.backup!.grade = 0) },
  { closes: 'guardTaken', how: 'a disk outside', breakIt: (f) => (f.guard!.snapshot!.escapes = ['sdb']) },
  {
    closes: 'guardTaken',
    how: 'an old snapshot',
    breakIt: (f) => (f.guard!.snapshot!.createdAt = '2026-03-14T21:00:00Z'),
  },
];

describe('the gate', () => {
  test('is open when every condition holds', () => {
    const decision = decideGate(goodRelease(), policy, now);
    expect(closedConditions(decision)).toEqual([]);
    expect(decision.open).toBe(true);
  });

  test.each(breakages)('is closed by $how ($closes), and says how to open it', ({ closes, breakIt }) => {
    const facts = goodRelease();
    breakIt(facts);
    const decision = decideGate(facts, policy, now);
    expect(decision.open).toBe(false);
    const condition = decision.conditions.find(({ name }) => name === closes);
    expect(condition?.open).toBe(false);
    expect(condition?.reason).not.toBe('');
    expect(condition?.remedy).toMatch(/\S/);
    expect(condition?.rules.length).toBeGreaterThan(0);
  });

  test('has a breakage in this file for every condition but the window, which moves with the clock', () => {
    const tested = new Set(breakages.map(({ closes }) => closes));
    expect(Object.keys(conditionTable).filter((name) => !tested.has(name as ConditionName))).toEqual([
      'windowOpen',
    ]);
  });

  test('stays closed under any mix of breakages, and names each of them', () => {
    fc.assert(
      fc.property(fc.subarray(breakages, { minLength: 1 }), (mix) => {
        const facts = goodRelease();
        try {
          for (const { breakIt } of mix) breakIt(facts);
        } catch {
          return; // two breakages of the same part exclude each other
        }
        expect(decideGate(facts, policy, now).open).toBe(false);
      }),
    );
  });

  test('is closed outside the maintenance window', () => {
    const decision = decideGate(goodRelease(), policy, new Date('2026-03-14T23:00:00Z'));
    expect(closedConditions(decision).map(({ name }) => name)).toContain('windowOpen');
  });

  test('leaves the guard backup for later when it is asked before LIVE closes', () => {
    const facts = { ...goodRelease(), guard: null };
    const decision = decideGate(facts, policy, now, 'promotion');
    expect(decision.open).toBe(true);
    expect(decision.later).toEqual(['guardTaken']);
    expect(decideGate(facts, policy, now).open).toBe(false);
  });

  test('asks a site that names no department to name one', () => {
    const decision = decideGate(goodRelease(), { ...policy, departments: [] }, now);
    expect(closedConditions(decision).map(({ name }) => name)).toContain('departmentsConfirmed');
  });

  test('says how a word is given for a department whose name has blanks', () => {
    const human = { name: 'Human Resources', keyUsers: ['anna'], delegates: [] };
    const decision = decideGate(goodRelease(), { ...policy, departments: [human] }, now);
    expect(closedConditions(decision).map(({ remedy }) => remedy)).toContain(
      'clona signoff --department "Human Resources" --confirm',
    );
  });

  test('asks for no masking where the site says that it masks nothing', () => {
    const facts = goodRelease();
    facts.staging!.maskedAt = null;
    expect(decideGate(facts, { ...policy, maskingRequired: false }, now).open).toBe(true);
  });
});

describe('a missing fact', () => {
  /** What may be unknown without closing the gate: remarks, and facts that stand beside the one that decides. */
  const mayBeNull = [/^words\.\d+\.(comment|onBehalfOf)$/, /^upgrade\.failedStep$/];
  /** What may be another text: names for people, and times that only have to be in order. */
  const mayDiffer = [
    ...mayBeNull,
    /^release\.startedAt$/,
    /^(staging\.machine|kit\.name|kit\.version|rehearsal\.run)$/,
    /^rehearsal\.finishedAt$/,
    /^checklist\.done\.\d+\.(by|at)$/,
    /^guard\.(backup\.label|snapshot\.name)$/,
    /^release\.initiator$/,
    /^staging\.maskedAt$/,
  ];
  const paths = leafPaths(goodRelease());

  test.each(paths.filter((path) => !matches(path, [...mayBeNull, ...peopleOnly()])))(
    'closes it: %s',
    (path) => {
      const facts = goodRelease();
      setPath(facts, path, null);
      expect(isClosed(facts)).toBe(true);
    },
  );

  test.each(paths.filter((path) => !matches(path, mayDiffer)))(
    'closes it when it is another one: %s',
    (path) => {
      const facts = goodRelease();
      setPath(facts, path, 'something else');
      expect(isClosed(facts)).toBe(true);
    },
  );

  function peopleOnly(): RegExp[] {
    return [
      /^release\.startedAt$/,
      /^(staging\.machine|kit\.name|kit\.version)$/,
      /^rehearsal\.finishedAt$/,
      /^checklist\.done\.\d+\.at$/,
      /^guard\.(backup\.label|snapshot\.name)$/,
      /^guard\.snapshot\.escapes$/,
    ];
  }

  /** A fact of the wrong type may also be refused by throwing: closed either way. */
  function isClosed(facts: GateFacts): boolean {
    try {
      return !decideGate(facts, policy, now).open;
    } catch {
      return true;
    }
  }
});

function matches(path: string, patterns: readonly RegExp[]): boolean {
  return patterns.some((pattern) => pattern.test(path));
}

function leafPaths(value: unknown, prefix = ''): string[] {
  if (typeof value !== 'object' || value === null) return [prefix];
  return Object.entries(value).flatMap(([key, inner]) =>
    leafPaths(inner, prefix === '' ? key : `${prefix}.${key}`),
  );
}

function setPath(target: object, path: string, value: unknown): void {
  const keys = path.split('.');
  let place = target as Record<string, unknown>;
  for (const key of keys.slice(0, -1)) place = place[key] as Record<string, unknown>;
  place[keys.at(-1)!] = value;
}
