import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  decideZone,
  describeDuration,
  explainZone,
  nextAction,
  type ZoneActionKind,
  type ZoneFacts,
  type ZoneSettings,
} from '../../src/retention/zone.ts';

const settings: ZoneSettings = { yellow: 0.8, red: 0.95, blockAt: 'red' };
const hour = 3_600_000;

function facts(usedBytes: number, more: Partial<ZoneFacts> = {}): ZoneFacts {
  return {
    areas: [{ name: 'archive', totalBytes: 1000, usedBytes, history: [] }],
    obsoleteBytes: 0,
    movableLogBytes: 0,
    backupNow: { raisesMark: false, freesBytes: 0, needsBytes: 0 },
    refreshesHeld: false,
    transactionsBlocked: false,
    ...more,
  };
}

const kinds = (given: ZoneFacts, by: ZoneSettings = settings): string[] =>
  decideZone(given, by, 0).actions.map((action) => action.kind);

describe('zones', () => {
  const twoAreas = (log: number, archive: number): ZoneFacts['areas'] => [
    { name: 'archive', totalBytes: 1000, usedBytes: archive, history: [] },
    { name: 'log', totalBytes: 1000, usedBytes: log, history: [] },
  ];

  test.each([
    ['log', 850, true],
    ['log', 851, false],
    ['archive', 940, true],
  ])('a backup that goes to the %s of which %i is used fits: %s', (area, log, fits) => {
    const backupNow = { raisesMark: true, freesBytes: 400, needsBytes: 150, area };
    const given = facts(0, { areas: twoAreas(log, 100), backupNow });
    expect(kinds(given).includes('force-backup')).toBe(fits);
  });

  test.each([
    [200, true],
    [201, false],
  ])('a quiesced backup of %i bytes has room in an area of its own: %s', (needsBytes, fits) => {
    const quiescedNow = { needsBytes, area: 'archive' };
    const given = facts(0, { areas: twoAreas(990, 800), obsoleteBytes: 500, quiescedNow });
    expect(kinds(given, { ...settings, yellow: 0.9 }).includes('quiesced-backup')).toBe(fits);
    expect(kinds(given, { ...settings, yellow: 0.9 }).at(-1)).toBe('page-human');
  });

  test('a limit belongs to the zone it opens', () => {
    expect(decideZone(facts(799), settings, 0).zone).toBe('green');
    expect(decideZone(facts(800), settings, 0).zone).toBe('yellow');
    expect(decideZone(facts(949), settings, 0).zone).toBe('yellow');
    expect(decideZone(facts(950), settings, 0).zone).toBe('red');
  });

  test('the worst area decides', () => {
    const areas = [
      { name: 'archive', totalBytes: 1000, usedBytes: 100, history: [] },
      { name: 'log', totalBytes: 100, usedBytes: 99, history: [] },
    ];
    expect(decideZone(facts(0, { areas }), settings, 0).zone).toBe('red');
  });

  test('green does nothing, and ends what an earlier zone began', () => {
    expect(kinds(facts(100))).toEqual([]);
    expect(kinds(facts(100, { refreshesHeld: true, transactionsBlocked: true }))).toEqual([
      'unblock-transactions',
      'release-refreshes',
    ]);
  });

  test('yellow holds refreshes, moves logs, removes what is obsolete and forces a backup that raises the mark', () => {
    const given = facts(850, {
      movableLogBytes: 50,
      obsoleteBytes: 20,
      backupNow: { raisesMark: true, freesBytes: 300, needsBytes: 100 },
    });
    expect(kinds(given)).toEqual([
      'hold-refreshes',
      'compress-and-move-logs',
      'remove-obsolete',
      'force-backup',
    ]);
  });

  test('yellow forces no backup that does not fit or would not raise the mark', () => {
    expect(
      kinds(
        facts(850, { obsoleteBytes: 1, backupNow: { raisesMark: true, freesBytes: 300, needsBytes: 152 } }),
      ),
    ).not.toContain('force-backup');
    expect(
      kinds(facts(850, { obsoleteBytes: 1, backupNow: { raisesMark: false, freesBytes: 0, needsBytes: 1 } })),
    ).not.toContain('force-backup');
  });

  test('yellow with nothing that could help pages a human', () => {
    expect(kinds(facts(850))).toEqual(['hold-refreshes', 'page-human']);
  });

  test('red blocks, takes a quiesced backup, restarts the log, unblocks, and pages', () => {
    const given = facts(960, {
      refreshesHeld: true,
      backupNow: { raisesMark: true, freesBytes: 500, needsBytes: 40 },
    });
    expect(kinds(given)).toEqual([
      'force-backup',
      'block-transactions',
      'quiesced-backup',
      'restart-log',
      'unblock-transactions',
      'page-human',
    ]);
  });

  test('the classic procedure blocks in yellow', () => {
    expect(kinds(facts(850, { refreshesHeld: true }), { ...settings, blockAt: 'yellow' })).toEqual([
      'block-transactions',
      'quiesced-backup',
      'restart-log',
      'unblock-transactions',
    ]);
  });

  test('who is blocked already is not blocked again', () => {
    const given = facts(960, { refreshesHeld: true, transactionsBlocked: true });
    expect(kinds(given)).toEqual(['quiesced-backup', 'restart-log', 'unblock-transactions', 'page-human']);
  });

  test('what is obsolete makes room for a backup', () => {
    const backupNow = { raisesMark: true, freesBytes: 900, needsBytes: 50 };
    expect(kinds(facts(960, { obsoleteBytes: 9, backupNow }))).not.toContain('quiesced-backup');
    expect(kinds(facts(960, { obsoleteBytes: 10, backupNow }))).toContain('quiesced-backup');
  });

  test.for([
    ['the room of the archive counts, whatever another area has', ['archive', 'log'], false],
    ['without an area of that name the largest room counts', ['disk-a', 'log'], true],
  ] as const)('%s', ([, [full, roomy], fits]) => {
    const areas = [
      { name: full, totalBytes: 1000, usedBytes: 990, history: [] },
      { name: roomy, totalBytes: 1000, usedBytes: 10, history: [] },
    ];
    const given = facts(0, { areas, backupNow: { raisesMark: true, freesBytes: 9, needsBytes: 100 } });
    expect(kinds(given).includes('quiesced-backup')).toBe(fits);
  });

  test('red without room for a backup only pages: nothing above the mark ever goes', () => {
    expect(
      kinds(
        facts(990, { refreshesHeld: true, backupNow: { raisesMark: true, freesBytes: 900, needsBytes: 11 } }),
      ),
    ).toEqual(['page-human']);
  });

  test('whoever is blocked is unblocked by the same decision or by the next green one', () => {
    fc.assert(
      fc.property(
        fc.record({
          used: fc.integer({ min: 0, max: 1000 }),
          obsolete: fc.nat(100),
          movable: fc.nat(100),
          needs: fc.nat(200),
          blocked: fc.boolean(),
          held: fc.boolean(),
        }),
        fc.constantFrom('yellow' as const, 'red' as const),
        (drawn, blockAt) => {
          const given = facts(drawn.used, {
            obsoleteBytes: drawn.obsolete,
            movableLogBytes: drawn.movable,
            backupNow: { raisesMark: true, freesBytes: 1, needsBytes: drawn.needs },
            transactionsBlocked: drawn.blocked,
            refreshesHeld: drawn.held,
          });
          const planned = kinds(given, { ...settings, blockAt });
          if (planned.includes('block-transactions')) {
            expect(planned.indexOf('unblock-transactions')).toBeGreaterThan(
              planned.indexOf('block-transactions'),
            );
          }
          if (drawn.used < 800) expect(planned.includes('unblock-transactions')).toBe(drawn.blocked);
        },
      ),
    );
  });
});

describe('forecast', () => {
  test('a steady growth tells when red comes', () => {
    const history = [0, 1, 2, 3].map((index) => ({ atMs: index * hour, usedBytes: 800 + index * 10 }));
    const areas = [{ name: 'archive', totalBytes: 1000, usedBytes: 840, history }];
    const decision = decideZone(facts(0, { areas }), settings, 4 * hour);
    expect(decision.areas[0]).toMatchObject({
      zone: 'yellow',
      redInMs: 11 * hour,
      yellowInMs: 0,
      fullInMs: 16 * hour,
    });
    expect(explainZone(decision)).toEqual(['archive 84 % (yellow), red in 11 h']);
  });

  test('a limit that is reached exactly is reached, growth or none', () => {
    const areas = [{ name: 'a', totalBytes: 1000, usedBytes: 800, history: [] }];
    expect(decideZone(facts(0, { areas }), settings, 0).areas[0]).toMatchObject({
      yellowInMs: 0,
      redInMs: null,
    });
  });

  test('what shrinks, stands still or is hardly known gives no date', () => {
    const shrinking = [0, 1, 2].map((index) => ({ atMs: index * hour, usedBytes: 900 - index * 10 }));
    const areas = (history: { atMs: number; usedBytes: number }[]) => [
      { name: 'a', totalBytes: 1000, usedBytes: 850, history },
    ];
    for (const history of [shrinking, [], [{ atMs: 0, usedBytes: 840 }]]) {
      expect(
        decideZone(facts(0, { areas: areas(history) }), settings, 3 * hour).areas[0]?.redInMs,
      ).toBeNull();
    }
  });

  test('durations are told in their two largest units', () => {
    expect(describeDuration(3 * hour + 10 * 60_000 + 5000)).toBe('3 h 10 min');
    expect(describeDuration(52 * hour)).toBe('2 d 4 h');
    expect(describeDuration(45_000)).toBe('45 s');
    expect(describeDuration(1000)).toBe('1 s');
    expect(describeDuration(200)).toBe('0 s');
  });
});

describe('what people read', () => {
  const reasons = (given: ZoneFacts, by: ZoneSettings = settings): Record<string, string> =>
    Object.fromEntries(decideZone(given, by, 0).actions.map(({ kind, reason }) => [kind, reason]));
  const help = { raisesMark: true, freesBytes: 300, needsBytes: 10 };

  test('every mild action says why', () => {
    expect(reasons(facts(850, { movableLogBytes: 50, obsoleteBytes: 20, backupNow: help }))).toEqual({
      'hold-refreshes': 'the yellow zone is reached: new refreshes wait',
      'compress-and-move-logs': expect.stringContaining('(R13)'),
      'remove-obsolete': expect.stringContaining('R11'),
      'force-backup': expect.stringContaining('raises the low water mark'),
    });
  });

  test('every blocking action says why, and a human is told in red', () => {
    expect(reasons(facts(960, { backupNow: help }))).toMatchObject({
      'block-transactions': expect.stringContaining('zone.blockAt is red'),
      'quiesced-backup': expect.stringContaining('consistent by itself'),
      'restart-log': expect.stringContaining('behind the backup'),
      'unblock-transactions': expect.stringContaining('writers go on'),
      'page-human': expect.stringContaining('red zone was reached'),
    });
    expect(reasons(facts(960, { backupNow: { ...help, needsBytes: 500 } }))).toMatchObject({
      'page-human': expect.stringContaining('R11'),
    });
  });

  test('green says that writers and refreshes go on', () => {
    const { 'unblock-transactions': writers, 'release-refreshes': refreshes } = reasons(
      facts(100, { refreshesHeld: true, transactionsBlocked: true }),
    );
    expect([writers, refreshes]).toEqual([
      expect.stringContaining('writers go on'),
      expect.stringContaining('refreshes go on'),
    ]);
  });

  test('in yellow a human is paged only when nothing at all can help', () => {
    const paged = (more: Partial<ZoneFacts>): boolean => kinds(facts(850, more)).includes('page-human');
    expect(paged({})).toBe(true);
    expect(paged({ movableLogBytes: 1 })).toBe(false);
    expect(paged({ obsoleteBytes: 1 })).toBe(false);
    expect(paged({ backupNow: help })).toBe(false);
    expect(paged({ backupNow: { ...help, raisesMark: false } })).toBe(true);
    expect(paged({ backupNow: { ...help, needsBytes: 500 } })).toBe(true);
    expect(reasons(facts(850))['page-human']).toContain('nothing may go');
  });

  test('an area is told with its next zone and when it comes', () => {
    const told = (usedBytes: number, growthAnHour: number): string[] => {
      const history = [0, 1, 2].map((at) => ({
        atMs: at * hour,
        usedBytes: usedBytes - (3 - at) * growthAnHour,
      }));
      const areas = [{ name: 'log', totalBytes: 1000, usedBytes, history }];
      return explainZone(decideZone(facts(0, { areas }), settings, 3 * hour));
    };
    expect(told(600, 100)).toEqual(['log 60 % (green), yellow in 2 h']);
    expect(told(850, 50)).toEqual(['log 85 % (yellow), red in 2 h']);
    expect(told(960, 20)).toEqual(['log 96 % (red), full in 2 h']);
    expect(told(1000, 20)).toEqual(['log 100 % (red), full now']);
    expect(told(600, 0)).toEqual(['log 60 % (green)']);
  });

  test('an area without any room counts as full', () => {
    const areas = [{ name: 'log', totalBytes: 0, usedBytes: 0, history: [] }];
    expect(decideZone(facts(0, { areas }), settings, 0).areas[0]).toMatchObject({ share: 1, zone: 'red' });
  });

  test('what was removed is no shrinking: it fills as fast as before', () => {
    // Sixty bytes an hour, and all but a rest removed every third hour.
    const used = [100, 160, 220, 100, 160, 220, 100, 160, 220];
    const history = used.map((usedBytes, at) => ({ atMs: at * hour, usedBytes }));
    const areas = [{ name: 'log', totalBytes: 1000, usedBytes: 280, history }];
    const [area] = decideZone(facts(0, { areas }), settings, 9 * hour).areas;
    expect(area?.growth).toBeCloseTo(60 / 3600, 9);
    // Just after a removal the time before it tells.
    const fresh = [{ name: 'log', totalBytes: 1000, usedBytes: 50, history }];
    expect(decideZone(facts(0, { areas: fresh }), settings, 9 * hour).areas[0]?.growth).toBeCloseTo(
      60 / 3600,
      9,
    );
  });

  test.for([
    ['the growth since a removal counts', [500, 520, 600, 575, 580, 585], 5],
    ['less by exactly a hundredth of the area is no removal', [500, 520, 510, 512, 514, 516], 32 / 17.5],
  ] as const)('%s, in whatever order the measurements are told', ([, used, growthAnHour]) => {
    const measured = used.map((usedBytes, at) => ({ atMs: at * hour, usedBytes }));
    const past = measured.slice(0, -1);
    const usedBytes = used.at(-1)!; // six of them
    for (const history of [past, past.toReversed(), [...past.slice(2), ...past.slice(0, 2)]]) {
      const areas = [{ name: 'log', totalBytes: 1000, usedBytes, history }];
      const [area] = decideZone(facts(0, { areas }), settings, 5 * hour).areas;
      expect(area?.growth).toBeCloseTo(growthAnHour / 3600, 9);
    }
  });

  test('a look that finds a little less is no removal', () => {
    const used = [500, 520, 511, 531, 551];
    const history = used.map((usedBytes, at) => ({ atMs: at * hour, usedBytes }));
    const areas = [{ name: 'log', totalBytes: 1000, usedBytes: 561, history: history.toReversed() }];
    const [area] = decideZone(facts(0, { areas }), settings, 5 * hour).areas;
    expect(area?.growth).toBeGreaterThan(9 / 3600);
    expect(area?.growth).toBeLessThan(15 / 3600);
  });

  test('measurements of one moment are no growth', () => {
    const history = [0, 0].map(() => ({ atMs: 0, usedBytes: 500 }));
    const areas = [{ name: 'log', totalBytes: 1000, usedBytes: 600, history }];
    expect(decideZone(facts(0, { areas }), settings, 0).areas[0]).toMatchObject({ growth: null });
  });

  test('three measurements are enough for a forecast, two are not', () => {
    const at = (index: number) => ({ atMs: index * hour, usedBytes: 500 + index * 10 });
    const growth = (
      history: { atMs: number; usedBytes: number }[],
      now: number,
    ): number | null | undefined => {
      const areas = [{ name: 'log', totalBytes: 1000, usedBytes: at(now).usedBytes, history }];
      return decideZone(facts(0, { areas }), settings, now * hour).areas[0]?.growth;
    };
    expect(growth([at(0), at(1)], 2)).toBeCloseTo(10 / 3600, 9);
    expect(growth([at(0)], 1)).toBeNull();
  });
});

describe('the action to do now', () => {
  const help = { raisesMark: true, freesBytes: 300, needsBytes: 10 };
  /** All that is done, one after the other, when no measurement ever changes. */
  const run = (given: ZoneFacts, doneInZone: readonly ZoneActionKind[], by = settings): ZoneActionKind[] => {
    const decision = decideZone(given, by, 0);
    const done = new Set<ZoneActionKind>();
    for (;;) {
      const next = nextAction(decision, done, new Set(doneInZone));
      if (next === null) return [...done];
      done.add(next.kind);
    }
  };
  const blocking: ZoneActionKind[] = [
    'block-transactions',
    'quiesced-backup',
    'restart-log',
    'unblock-transactions',
  ];
  const red = facts(960, { movableLogBytes: 5, obsoleteBytes: 5, backupNow: help });
  const mild: ZoneActionKind[] = ['hold-refreshes', 'compress-and-move-logs', 'remove-obsolete'];

  test.for<[string, ZoneFacts, ZoneActionKind[], ZoneActionKind[]]>([
    [
      'in yellow a backup is forced',
      facts(850, { refreshesHeld: true, backupNow: help }),
      [],
      ['force-backup'],
    ],
    [
      'where writers are blocked the quiesced backup is the one',
      red,
      [],
      [...mild, ...blocking, 'page-human'],
    ],
    ['writers are blocked once in a zone', red, ['quiesced-backup'], [...mild, 'page-human']],
    ['a human is paged once in a zone', red, ['page-human'], [...mild, ...blocking]],
    ['a quiet archive needs nothing', facts(100), [], []],
    ['green ends what is held', facts(100, { refreshesHeld: true }), ['page-human'], ['release-refreshes']],
  ])('%s', ([, given, doneInZone, expected]) => {
    expect(run(given, doneInZone)).toEqual(expected);
  });

  test('what was done in a zone counts for nothing else', () => {
    const given = facts(850, { refreshesHeld: true, backupNow: help });
    expect(run(given, ['hold-refreshes', 'force-backup', 'remove-obsolete'])).toEqual(['force-backup']);
  });
});
