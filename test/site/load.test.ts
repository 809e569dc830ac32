import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ClonaError } from '../../src/errors.ts';
import { loadSite } from '../../src/site/load.ts';
import { parseSite } from '../../src/site/parse.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'clona-site-'));
});
afterAll(async () => {
  await rm(folder, { recursive: true });
});

const whole = `
name: erp
archive: { location: archive }
`;

function mistakes(text: string) {
  const parsed = parseSite(text, '/site');
  return 'mistakes' in parsed ? parsed.mistakes : [];
}

function site(text: string) {
  const parsed = parseSite(text, '/site');
  if ('mistakes' in parsed) throw new Error(JSON.stringify(parsed.mistakes));
  return parsed.site;
}

async function refusal(work: Promise<unknown>): Promise<ClonaError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof ClonaError) return error;
    throw error;
  }
  throw new Error('it was not refused');
}

describe('a site file', () => {
  test('needs a name and an archive, and has defaults for everything else', () => {
    const read = site(whole);
    expect(read.machines).toMatchObject({ platform: 'local', live: { name: 'live' } });
    expect(read.staging).toMatchObject({ name: 'staging', timeToLive: 7 * 86_400_000 });
    expect(read.archive).toMatchObject({
      minimumGrade: 5,
      maximumAge: 26 * 3_600_000,
      zone: { yellow: 80, red: 92 },
    });
    expect(read.promotion.rollback.rehearse).toBe(true);
  });

  test('has its paths counted from its own folder', () => {
    const read = site(
      `${whole}guest: { user: clona, privateKey: 'file:keys/id' }\nkit: { publicKey: /etc/vendor.pem }`,
    );
    expect(read.archive.location).toBe('/site/archive');
    expect(read.machines.root).toBe('/site/.clona/machines');
    expect(read.guest?.privateKey).toBe('/site/keys/id');
    expect(read.kit.publicKey).toBe('/etc/vendor.pem');
  });

  test('refers to secrets and holds none', () => {
    expect(site(`${whole}database: { host: db, password: 'env:ERP_PW' }`).database.password).toEqual({
      kind: 'env',
      name: 'ERP_PW',
    });
    expect(site(`${whole}database: { url: 'file:url' }`).database.url).toEqual({
      kind: 'file',
      path: '/site/url',
    });
  });

  test('may have a section whose lines are all commented out', () => {
    expect(site(`${whole}staging:\n  # name: x\ndepartments:\n`).staging.name).toBe('staging');
  });

  test('is loaded with its own path and folder', async () => {
    const path = join(folder, 'clona.yaml');
    await writeFile(path, whole);
    expect(await loadSite(path)).toMatchObject({ name: 'erp', file: path, folder });
  });
});

describe('a mistake in a site file', () => {
  test('is named with line, column, key and what is allowed', () => {
    expect(mistakes(`name: erp\narchive:\n  location: a\n  minimumGrade: 9\n`)).toEqual([
      expect.objectContaining({
        line: 4,
        column: 17,
        key: 'archive.minimumGrade',
        problem: 'is the number 9',
        allowed: 'a whole number from 0 to 6',
      }),
    ]);
  });

  test('does not hide the others: all are named at once, in the order of the file', () => {
    const found = mistakes(`nam: erp
archive:
  location: 5
  compressionLevel: high
departments:
  - name: sales
    keyUsers: anna
    boss: x
`);
    expect(found.map(({ line, key }) => `${line} ${key}`)).toEqual([
      '1 name',
      '1 nam',
      '3 archive.location',
      '4 archive.compressionLevel',
      '7 departments[0].keyUsers',
      '8 departments[0].boss',
    ]);
  });

  test('in a key comes with the key that was probably meant, or the section it belongs to', () => {
    const found = mistakes(`${whole}stagng: {}\nmasking: []\nfrobnicate: 1`);
    expect(found.map(({ hint }) => hint)).toEqual([
      'did you mean "staging"?',
      'did you mean "staging.masking"?',
      undefined,
    ]);
    expect(found[2]?.allowed).toContain('departments');
  });

  test('that is a secret written out is refused without repeating it', () => {
    for (const line of [
      'database: { password: hunter2 }',
      'database: { url: "postgres://erp:hunter2@db/erp" }',
      'kit: { source: "ftp://erp:hunter2@vendor/kit.zip" }',
      'archive: { location: [hunter2] }',
      'database: { password: hunter2, password: hunter2 }',
      'database: { password: "hunter2',
    ]) {
      const found = mistakes(`name: erp\n${line}\n`);
      expect(found.length).toBeGreaterThan(0);
      expect(JSON.stringify(found)).not.toContain('hunter2');
    }
    expect(mistakes(`${whole}database: { password: x }`)[0]).toMatchObject({
      problem: 'a secret never stands in the site file',
      hint: expect.stringContaining('env:NAME'),
    });
  });

  test.each([
    ['yellow not below red', 'archive: { location: a, zone: { yellow: 95% } }', 'archive.zone.yellow'],
    ['a mirror that is the archive', 'archive: { location: a, mirror: ./a }', 'archive.mirror'],
    ['an address given twice', 'database: { url: env:U, host: h }', 'database.host'],
    ['a wrong schedule', 'schedule: { refresh: 99 * * * * }', 'schedule.refresh'],
    ['a day that no month has', 'schedule: { refresh: 0 0 31 2 * }', 'schedule.refresh'],
    [
      'a time zone nobody knows',
      'promotion: { window: { from: 18:00, to: 20:00, zone: Mars } }',
      'promotion.window.zone',
    ],
    [
      'a step that is neither run nor sql',
      'promotion: { closeForUsers: [{ timeout: 5s }] }',
      'promotion.closeForUsers[0]',
    ],
    ['two departments of one name', 'departments: [{ name: a }, { name: a }]', 'departments[1].name'],
    ['one name in two cases', 'departments: [{ name: Büro }, { name: BÜRO }]', 'departments[1].name'],
    ['a department with a quote', `departments: [{ name: 'a"b' }]`, 'departments[0].name'],
    ['a department on two lines', 'departments: [{ name: "a\\nb" }]', 'departments[0].name'],
    ['staging named as live', 'staging: { name: live }', 'staging.name'],
    ['vsphere without its section', 'machines: { platform: vsphere }', 'machines.vsphere'],
    ['a duration without a unit', 'staging: { timeToLive: "7" }', 'staging.timeToLive'],
    ['a network other than the isolated one', 'staging: { network: bridged }', 'staging.network'],
  ])('%s is found', (_, line, key) => {
    const text = line.startsWith('archive') ? `name: erp\n${line}` : `${whole}${line}`;
    expect(mistakes(text).map((mistake) => mistake.key)).toEqual([key]);
  });

  test('between keys are told together with those within them', () => {
    const lines = [
      'machines:',
      '  platform: vsphere',
      '  live: { name: "" }',
      '  vsphere: { server: https://vc/, user: x, password: plain, datacenter: d, datastore: a, datastoreCluster: b, isolatedPortGroup: a, host: c, promotionUser: y, colour: red }',
      'guest: { user: u, privateKey: "file:k" }',
      'staging: { name: a/b }',
    ];
    const found = mistakes(`${whole}${lines.join('\n')}\n`).map(({ key }) => key);
    expect(found.toSorted()).toEqual([
      'guest.hostKey',
      'machines.live.name',
      'machines.vsphere.cluster',
      'machines.vsphere.colour',
      'machines.vsphere.datastoreCluster',
      'machines.vsphere.host',
      'machines.vsphere.password',
      'machines.vsphere.promotionPassword',
      'machines.vsphere.server',
      'staging.name',
    ]);
  });

  test('of YAML itself is named with its line, as is a key given twice', () => {
    expect(mistakes('name: [a\nb: c\n')[0]).toMatchObject({
      line: 2,
      problem: expect.stringContaining('is not YAML'),
    });
    expect(mistakes(`${whole}name: again`)[0]).toMatchObject({ line: 4 });
    expect(mistakes('')[0]).toMatchObject({ problem: 'the file is empty' });
    expect(mistakes('- a\n')[0]).toMatchObject({ problem: 'the file is not a mapping of keys to values' });
  });

  test('cannot be a bomb of aliases or a poisoned prototype', () => {
    const bomb = Array.from(
      { length: 12 },
      (_, i) => `x${i}: &x${i} [${`*x${i - 1},`.repeat(i === 0 ? 0 : 10)}]`,
    );
    expect(mistakes(bomb.join('\n')).length).toBeGreaterThan(0);
    expect(mistakes(`${whole}__proto__: { name: x }`)).not.toEqual([]);
  });

  test('ends in one error with exit code 2 that lists every mistake as file:line:column', async () => {
    const path = join(folder, 'bad.yaml');
    await writeFile(path, 'nme: erp\narchive: {}\n');
    const error = await refusal(loadSite(path));
    expect(error).toMatchObject({ kind: 'siteInvalid', exitCode: 2 });
    expect(error.details?.['lines']).toEqual([
      expect.stringContaining(`${path}:1:1: name: is missing`),
      expect.stringContaining(
        `${path}:1:1: nme: unknown key (did you mean "name"?); allowed: name, machines`,
      ),
      expect.stringContaining(`${path}:2:10: archive.location: is missing; allowed: a path`),
    ]);
  });
});

test('a site file that is missing is said with the way to get one', async () => {
  const error = await refusal(loadSite(join(folder, 'none.yaml')));
  expect(error).toMatchObject({
    kind: 'fileUnreadable',
    exitCode: 2,
    hint: expect.stringContaining('clona init'),
  });
});

describe('a site file that would mean something else than it seems', () => {
  test.each([
    ['a NUL in a path', 'name: erp\narchive: { location: "a\\0b" }', 'archive.location'],
    ['a line break in a path', 'name: erp\narchive: { location: "a\\nb" }', 'archive.location'],
    ['a path of blanks', 'name: erp\narchive: { location: "  " }', 'archive.location'],
    ['a mirror inside the archive', 'name: erp\narchive: { location: a, mirror: a/b }', 'archive.mirror'],
    ['an archive inside the mirror', 'name: erp\narchive: { location: a/b, mirror: a }', 'archive.mirror'],
    [
      'a local machine outside its folder',
      `${whole}machines: { live: { name: ../etc } }`,
      'machines.live.name',
    ],
    ['a staging machine that is an option', `${whole}staging: { name: -rf }`, 'staging.name'],
    ['a machine that is gone at once', `${whole}staging: { timeToLive: 0s }`, 'staging.timeToLive'],
    ['a time beyond all dates', `${whole}staging: { timeToLive: 99999999999d }`, 'staging.timeToLive'],
    ['a port that is none', `${whole}serve: { listen: '127.0.0.1:65536' }`, 'serve.listen'],
    [
      'a count of a name that stands twice',
      `${whole}database: { businessCounts: [{ name: a, sql: x }, { name: a, sql: y }] }`,
      'database.businessCounts[1].name',
    ],
    ['a person on two lines', `${whole}dba: { name: "a\\nb" }`, 'dba.name'],
    ['a tag that nobody knows', `${whole}dba: { name: !!js/function "x" }`, ''],
  ])('%s is refused', (_what, text, key) => {
    expect(mistakes(text).map((mistake) => mistake.key)).toEqual([key]);
  });

  test('is refused where it is not UTF-8, with the place', async () => {
    const file = join(folder, 'latin1.yaml');
    await writeFile(file, Buffer.from('name: erp\narchive: { location: "arhiva \xe4" }\n', 'latin1'));
    const { kind, details } = await refusal(loadSite(file));
    expect(kind).toBe('siteInvalid');
    expect(details).toMatchObject({ mistakes: [{ line: 2, column: 30, problem: 'is not UTF-8' }] });
  });

  test('may begin with a byte order mark', async () => {
    const file = join(folder, 'bom.yaml');
    await writeFile(file, `\ufeff${whole}`);
    expect((await loadSite(file)).name).toBe('erp');
  });
});
