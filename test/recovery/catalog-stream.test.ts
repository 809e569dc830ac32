import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { startCatalogStream } from '../../src/recovery/catalog-stream.ts';
import { catalogToJson } from '../../src/recovery/catalog-json.ts';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { anyCatalog } from './arbitrary.ts';

const runs = Number(process.env['CLONA_RUNS'] ?? 1500);

const spell = (catalog: Catalog, indent: number): string =>
  JSON.stringify(catalogToJson(catalog), null, indent);

function stream(text: string, sizes: readonly number[], longestCarried?: number): Catalog | null {
  const reader = startCatalogStream(longestCarried);
  try {
    let at = 0;
    for (let turn = 0; at < text.length; turn += 1) {
      const size = sizes[turn % sizes.length]!;
      reader.push(text.slice(at, at + size));
      at += size;
    }
    return reader.end();
  } catch {
    return null;
  }
}

function whole(text: string): Catalog | null {
  try {
    return parseCatalog(text);
  } catch {
    return null;
  }
}

const sizes = fc.array(fc.integer({ min: 1, max: 200 }), { minLength: 1, maxLength: 5 });

test('in pieces of any size a catalog is read as the whole text is', () => {
  fc.assert(
    fc.property(anyCatalog, sizes, fc.constantFrom(0, 1), (catalog, pieces, indent) => {
      const text = spell(catalog, indent);
      expect(whole(text)).toEqual(catalog);
      expect(stream(text, pieces)).toEqual(catalog);
    }),
    { numRuns: Math.min(300, runs) },
  );
});

test('a spoilt text is refused in pieces exactly when it is refused as a whole', () => {
  const spoils = fc.record({
    at: fc.nat(),
    drop: fc.constantFrom(0, 1, 1, 2, 50),
    put: fc.constantFrom('', ',', ',', '[', ']', '{', '}', '"', '\\', ' ', '\u00a0', ':', 'logs', '0'),
  });
  fc.assert(
    fc.property(anyCatalog, sizes, spoils, (catalog, pieces, { at, drop, put }) => {
      const text = spell(catalog, 0);
      const place = at % text.length;
      const spoilt = text.slice(0, place) + put + text.slice(place + drop);
      const read = stream(spoilt, pieces);
      // A name of the root that is spelt with an escape is left to the reader of the whole.
      if (read === null && put === '\\') return;
      expect(read).toEqual(whole(spoilt));
    }),
    { numRuns: runs },
  );
});

describe('lists of logs that are hard to find', () => {
  const log = '{"incarnation":1,"thread":1,"sequence":1,"first":"1","next":"2","state":"available"}';
  const base = [
    '{"engine":"oracle","database":"logs","currentIncarnation":1',
    '"incarnations":[{"id":1,"parent":null,"branchPosition":"1"},{"id":2,"parent":1,"branchPosition":"5"}]',
    `"backups":[],"logs":[${log}],"onlineLogs":[]}`,
  ].join(',');
  const withLogs = (logs: string): string => base.replace(`"logs":[${log}]`, `"logs":${logs}`);
  const noisy = (field: string): string => log.replace('{', `{${field},`);
  const nested = noisy('"x":[1,[2,{"y":[3,{}]}],{"z":[]}]');
  const texts = noisy(String.raw`"":"","x":"]},{[\"\\","\"":"\\\","`);
  const pieces = [1, 2, 3, 7, 50, 1000];

  test.for([
    ['a value that is called logs', base],
    ['an empty list', withLogs('[]')],
    ['an empty list with space inside', withLogs('[ \n\t\r ]')],
    ['a nested list of that name', base.replace('"backups"', `"x":{"logs":[1,2]},"backups"`)],
    ['a list nested in an object of that name', base.replace('{', '{"x":{"logs":{"y":[1,2]}},')],
    ['brackets and quotes in texts', base.replace('"oracle"', String.raw`"oracle","x":"]}\"[{,\\"`)],
    ['an escaped name inside an object', base.replace('{', String.raw`{"x":{"a\u0062":[1]},`)],
    ['an empty name in front', base.replace('{', '{"":"[",')],
    ['lists and objects inside a log', withLogs(`[${nested},${log},${nested}]`)],
    ['brackets and quotes in the texts of a log', withLogs(`[${texts},${log},${texts}]`)],
    ['space around', withLogs(` [ ${log} , ${log} ] `)],
    ['before everything else', base.replace('{', `{"logs":[${log}],`).replace(`,"logs":[${log}],"o`, ',"o')],
    ['empty before everything else', base.replace('{', '{"logs":[],').replace(`,"logs":[${log}],"o`, ',"o')],
    ['after everything else', base.replace(`"logs":[${log}],`, '').replace(/\}$/, `,"logs":[${log}]}`)],
    ['a byte order mark', `\uFEFF${base}`],
  ] as const)('%s', ([, text]) => {
    expect(whole(text)).not.toBe(null);
    for (const size of pieces) expect(stream(text, [size])).toEqual(whole(text));
  });
  test.for([
    ['twice', withLogs(`[${log}],"logs":[${log}]`)],
    ['twice, then empty', withLogs(`[${log}],"logs":[]`)],
    ['twice, with something between', withLogs(`[${log}],"x":[],"logs":[]`)],
    ['an escaped name', base.replace('"logs":', String.raw`"lo\u0067s":`)],
    ['twice, once escaped', withLogs(String.raw`[],"lo\u0067s":[${log}]`)],
    ['twice, then empty and escaped', withLogs(String.raw`[${log}],"lo\u0067s":[]`)],
  ] as const)('%s: left to the reader of the whole', ([, text]) => {
    expect(whole(text)).not.toBe(null);
    for (const size of pieces) expect(stream(text, [size])).toBe(null);
  });
  test.for([
    ['a comma too many at the end', withLogs(`[${log},]`)],
    ['a comma and a space too many', withLogs(`[${log}, ]`)],
    ['a comma too many inside', withLogs(`[${log},,${log}]`)],
    ['only a comma', withLogs('[,]')],
    ['a space that JSON does not know', withLogs('[\u00a0]')],
    ['closed by a brace', withLogs(`[${log}}`)],
    ['not closed', base.slice(0, base.indexOf('"logs":[') + 8)],
    ['an object instead', withLogs('{}')],
    ['no list at all', base.replace(`"logs":[${log}],`, '')],
  ] as const)('%s: refused', ([, text]) => {
    expect(whole(text)).toBe(null);
    for (const size of pieces) expect(stream(text, [size])).toBe(null);
  });

  test('a record that is longer than what may be carried is left to the reader of the whole', () => {
    const long = withLogs(`[${log},${noisy('"x":"]"')},${log},${log},${log}]`);
    const longest = noisy('"x":"]"').length;
    expect(stream(long, [1], longest)).toEqual(whole(long));
    expect(stream(long, [1], longest - 1)).toBe(null);
  });

  test('records are handed on one by one, however they are set apart', () => {
    const apart = withLogs(`[${[log, nested, log, log].join(' \n, ')}]`);
    expect(stream(apart, [1], nested.length + 4)).toEqual(whole(apart));
  });
});
