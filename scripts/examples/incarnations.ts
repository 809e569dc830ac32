import { explainIncarnations } from '../../src/recovery/explain.ts';
import { listIncarnations } from '../../src/recovery/incarnations.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { sketchHistory } from '../../src/recovery/picture/terminal.ts';
import { askAndTell, mustBe, type Tell } from './scenario.ts';

const day = (time: string): string => `2017-03-08T${time}:00Z`;

const incarnations = [
  { id: 1, parent: null, branchPosition: '1', openedAt: day('10:00') },
  { id: 2, parent: 1, branchPosition: '200', openedAt: day('13:20') },
  { id: 3, parent: 2, branchPosition: '400', openedAt: day('15:20') },
  { id: 4, parent: 2, branchPosition: '300', openedAt: day('17:20') },
];

const log = (incarnation: number, sequence: number, first: string, next: string): unknown => ({
  incarnation,
  thread: 1,
  sequence,
  first,
  next,
  state: 'available',
});

const backup = (label: string, incarnation: number, start: string, consistentFrom: string): unknown => ({
  label,
  incarnation,
  kind: 'managed',
  start,
  consistentFrom,
  startedAt: day(incarnation === 2 ? '13:30' : '16:00'),
  finishedAt: day(incarnation === 2 ? '13:36' : '16:10'),
  state: 'available',
  device: 'disk-b',
  ownLog: false,
  grade: 3,
  pinned: false,
  bytes: 1_000_000,
});

/** The history as it stood when `newest` was opened. */
function after(newest: number): Catalog {
  const known = incarnations.filter(({ id }) => id <= newest);
  const ids = new Set(known.map(({ id }) => id));
  const records = [
    { of: 1, log: log(1, 1, '1', '200') },
    { of: 2, log: log(2, 1, '200', '300') },
    { of: 2, log: log(2, 2, '300', '400') },
    { of: 3, log: log(3, 1, '400', '500') },
    { of: 3, log: log(3, 2, '500', '600') },
    { of: 4, log: log(4, 1, '300', '400') },
  ];
  const backups = [
    { of: 2, backup: backup('B2', 2, '250', '261') },
    { of: 3, backup: backup('B3', 3, '490', '500') },
  ];
  return parseCatalog(
    JSON.stringify({
      engine: 'oracle',
      database: 'ERP',
      currentIncarnation: newest,
      incarnations: known,
      backups: backups.filter(({ of }) => ids.has(of)).map((entry) => entry.backup),
      logs: records.filter(({ of }) => ids.has(of)).map((entry) => entry.log),
      onlineLogs: [],
    }),
  );
}

/** The worked example: reset at 200, at 400, and then from before that at 300 (R1, R5). */
export function play(tell: Tell): void {
  const expected = new Map([
    [2, ['PARENT', 'CURRENT']],
    [3, ['PARENT', 'PARENT', 'CURRENT']],
    [4, ['PARENT', 'PARENT', 'ORPHAN', 'CURRENT']],
  ]);
  for (const [newest, statuses] of expected) {
    const catalog = after(newest);
    const lines = listIncarnations(catalog);
    tell(`\nAfter incarnation ${newest} was opened:\n${explainIncarnations('oracle', lines)}`);
    mustBe(
      lines.map(({ status }) => status).join() === statuses.join(),
      `after ${newest}: ${statuses.join(', ')}`,
    );
  }
  const catalog = after(4);
  tell(`\n${sketchHistory(catalog)}\n`);
  tell(
    '550 lies on an ORPHAN: its own backup serves it, after the database was told which branch is meant (R5).',
  );
  const orphan = askAndTell(tell, catalog, 'incarnation:3@550');
  mustBe(orphan.backup === 'B3' && orphan.resetDatabaseToIncarnation === 3, '550 on 3 by B3');
  tell('450 on 3 lies before B3 is consistent: the backup of the parent serves, through the branch (R2).');
  const through = askAndTell(tell, catalog, 'incarnation:3@450');
  mustBe(through.backup === 'B2' && through.logs.length === 3, '450 on 3 by B2 and the logs of 2 and 3');
  tell('350 on the CURRENT incarnation: neither B3 nor the logs of 3 are on the path -> 1 -> 2 -> 4 (R1).');
  const current = askAndTell(tell, catalog, 'position:350');
  mustBe(current.backup === 'B2' && current.resetDatabaseToIncarnation === null, '350 on 4 by B2');
}
