import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';

/** The documents of the file-based verbs, field by field: what may be added stands beside them, nothing may go or change its type. */
const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
const example = new URL('../golden/planner/example-after-4-latest.json', import.meta.url);
let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'clona-contracts-'));
  const { catalog } = JSON.parse(readFileSync(example, 'utf8')) as { catalog: unknown };
  writeFileSync(join(folder, 'catalog.json'), JSON.stringify(catalog));
  writeFileSync(join(folder, 'policy.json'), '{ "redundancy": 2, "windowDays": 7, "orphanDays": 0 }');
  writeFileSync(
    join(folder, 'job.log'),
    'Export: Release 19.0.0.0.0 - Production\nExport terminated successfully without warnings.\n',
  );
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const position = z.string().regex(/^(0|[1-9]\d*)$/);
const time = z.iso.datetime({ offset: true });
const word = z.string().min(1);
const log = z.object({ incarnation: z.int(), thread: z.int(), sequence: z.int() });

const plan = z.object({
  reachable: z.boolean(),
  target: z.object({ incarnation: z.int(), until: position.nullable() }),
  backup: word.nullable(),
  logs: z.array(log),
  usesOnlineLog: z.boolean(),
  resetDatabaseToIncarnation: z.int().nullable(),
  opensNewIncarnation: z.boolean(),
  redoFrom: position.nullable(),
  redoTo: position.nullable(),
  loss: z.object({ positions: position.nullable(), from: time.nullable(), to: time.nullable() }),
  steps: z.array(word).min(1),
  rejected: z.array(z.object({ backup: word, reasons: z.array(word).min(1) })),
  nearest: z.object({ below: position.nullable(), above: position.nullable() }),
});
const incarnations = z.object({
  current: z.int(),
  incarnations: z.array(
    z.object({
      id: z.int(),
      prior: z.int(),
      branchPosition: position,
      status: z.enum(['CURRENT', 'PARENT', 'ORPHAN']),
      path: z.string().regex(/^( -> \d+)+$/),
    }),
  ),
});
const retention = z.object({
  backups: z.array(z.object({ label: word, keep: z.boolean(), reasons: z.array(word).min(1) })).min(1),
  lowWaterMarks: z.array(z.object({ incarnation: z.int(), position: position.nullable() })).min(1),
  deletableLogs: z.array(log),
});
const jobLog = z.object({
  kind: z.enum(['expdp', 'impdp', 'exp', 'imp', 'rman']),
  verdict: z.enum(['ok', 'warning', 'failed', 'incomplete']),
  errors: z.array(z.string()),
  rows: z.record(z.string(), z.number()),
});

const plans = [
  'latest',
  'position:450',
  'position:99999',
  'time:2017-03-08T13:30:00Z',
  'incarnation:3',
  'incarnation:3@450',
  'backup:B1',
];
const decide = ['--policy', 'policy.json', '--now', '2017-03-08T18:07:12Z'];
test.each<[string, number[], z.ZodType, string[]]>([
  ...plans
    .flatMap((until) =>
      ['database', 'online-log', 'all-logs', 'everything'].map(
        (lost): [string, number[], z.ZodType, string[]] => [
          `plan ${until} with ${lost} lost`,
          [0, 5],
          plan,
          ['plan', '--catalog', 'catalog.json', '--until', until, '--lost', lost],
        ],
      ),
    )
    .filter((_, index) => index % 3 === 0),
  ['incarnations', [0], incarnations, ['incarnations', '--catalog', 'catalog.json']],
  ['retention', [0], retention, ['retention', '--catalog', 'catalog.json', ...decide]],
  ['prove --job-log', [0, 4], jobLog, ['prove', '--job-log', 'job.log']],
])('%s --json is the document of its contract', (_, exits, schema, args) => {
  const { status, stdout, stderr } = spawnSync(process.execPath, [launcher, ...args, '--json'], {
    cwd: folder,
    encoding: 'utf8',
  });
  expect({ status: exits.includes(status ?? -1), stderr: stderr.includes('CLONA-') }).toEqual({
    status: true,
    stderr: false,
  });
  // One document and nothing else.
  expect(stdout.trim().split('\n')).toHaveLength(1);
  expect(schema.safeParse(JSON.parse(stdout)).error?.issues ?? []).toEqual([]);
});

test('an error is one document too, with its code and exit code', () => {
  const { status, stdout } = spawnSync(
    process.execPath,
    [launcher, 'plan', '--catalog', 'catalog.json', '--until', 'position:x', '--json'],
    { cwd: folder, encoding: 'utf8' },
  );
  expect(status).toBe(2);
  expect(JSON.parse(stdout)).toEqual({
    error: expect.objectContaining({ code: 'CLONA-0202', message: expect.any(String), exitCode: 2 }),
  });
});
