import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { startCatalogStream } from '../../src/recovery/catalog-stream.ts';
import type { Catalog } from '../../src/recovery/catalog.ts';
import { parseCatalog } from '../../src/recovery/parse-catalog.ts';
import { anyCatalog } from './arbitrary.ts';

const runs = Number(process.env['CLONA_RUNS'] ?? 1500);

const spell = (catalog: Catalog, indent: number): string =>
  JSON.stringify(
    catalog,
    (_, value: unknown) => (typeof value === 'bigint' ? value.toString() : value),
    indent,
  );

function stream(text: string, sizes: readonly number[]): Catalog | null {
  const reader = startCatalogStream();
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
      expect(stream(text, pieces)).toEqual(catalog);
      expect(whole(text)).toEqual(catalog);
    }),
    { numRuns: Math.min(300, runs) },
  );
});

test('a spoilt text is refused in pieces exactly when it is refused as a whole', () => {
  const spoils = fc.record({
    at: fc.nat(),
    drop: fc.constantFrom(0, 1, 1, 2, 50),
    put: fc.constantFrom('', ',', ',', '[', ']', '{', '}', '"', '\\', ' ', ':', 'logs', '0'),
  });
  fc.assert(
    fc.property(anyCatalog, sizes, spoils, (catalog, pieces, { at, drop, put }) => {
      const text = spell(catalog, 0);
      const place = at % text.length;
      const spoilt = text.slice(0, place) + put + text.slice(place + drop);
      expect(stream(spoilt, pieces)).toEqual(whole(spoilt));
    }),
    { numRuns: runs },
  );
});

describe('lists of logs that are hard to find', () => {
  const base = spell(
    {
      engine: 'oracle',
      database: 'logs',
      currentIncarnation: 1,
      incarnations: [],
      backups: [],
      logs: [],
      onlineLogs: [],
    },
    0,
  ).replace('"incarnations":[]', '"incarnations":[{"id":1,"parent":null,"branchPosition":"1"}]');
  const log = '{"incarnation":1,"thread":1,"sequence":1,"first":"1","next":"2","state":"available"}';
  test.for([
    ['a value that is called logs', base],
    ['a nested list of that name', base.replace('"backups"', `"x":{"logs":[1,2]},"backups"`)],
    ['brackets and quotes in texts', base.replace('"oracle"', '"oracle","x":"]}\\"[{,"')],
    ['space around', base.replace('"logs":[]', `"logs" : [ ${log} , ${log} ] `)],
    ['before everything else', base.replace('{', `{"logs":[${log}],`).replace(',"logs":[]', '')],
    ['a byte order mark', `\uFEFF${base}`],
  ] as const)('%s', ([, text]) => {
    expect(whole(text)).not.toBe(null);
    for (const size of [1, 2, 3, 7, 1000]) expect(stream(text, [size])).toEqual(whole(text));
  });
  test.for([
    ['twice', base.replace('"logs":[]', `"logs":[${log}],"logs":[${log}]`)],
    ['an escaped name', base.replace('"logs":[]', `"lo\\u0067s":[${log}]`)],
    ['twice, once escaped', base.replace('"logs":[]', `"logs":[],"lo\\u0067s":[${log}]`)],
  ] as const)('%s: left to the reader of the whole', ([, text]) => {
    expect(stream(text, [9])).toBe(null);
  });
  test.for([
    ['a comma too many at the end', base.replace('"logs":[]', `"logs":[${log},]`)],
    ['a comma too many inside', base.replace('"logs":[]', `"logs":[${log},,${log}]`)],
    ['only a comma', base.replace('"logs":[]', `"logs":[,]`)],
    ['closed by a brace', base.replace('"logs":[]', `"logs":[${log}}`)],
    ['not closed', base.slice(0, base.indexOf('"logs":[') + 8)],
  ] as const)('%s: refused', ([, text]) => {
    expect(whole(text)).toBe(null);
    for (const size of [1, 2, 3, 7, 1000]) expect(stream(text, [size])).toBe(null);
  });
});
