import fc from 'fast-check';
import { expect, test } from 'vitest';
import { findLiveNames, rewriteLiveNames } from '../../../../src/databases/oracle/import/live-names.ts';

const kinds = (code: string, schema = 'ERP'): string[] =>
  findLiveNames(code, schema).names.map(({ kind, line }) => `${kind} ${line}`);

test.each([
  ['plain', 'SELECT * FROM ERP.orders', ['code 1']],
  ['lower case', 'select * from erp.orders', ['code 1']],
  ['mixed case', 'select * from Erp.Orders', ['code 1']],
  ['in quotes', 'select * from "ERP"."orders"', ['code 1']],
  ['with spaces and a comment before the dot', 'select * from erp /* ! */ . orders', ['code 1']],
  ['on a later line', 'begin\n  null;\n  erp.pay(1);\nend;', ['code 3']],
  ['as the current schema', 'alter session set current_schema = erp', ['code 1']],
  ['beside a string with two quotes', "x := 'it''s'; erp.p;", ['code 1']],
  ['after an alternative quote', "x := q'[ it's ]'; erp.p;", ['code 1']],
])('LIVE named outright is found: %s', (_, code, found) => {
  expect(kinds(code)).toEqual(found);
});

test.each([
  ['another case in quotes is another name', 'select * from "erp".orders'],
  ['a longer name', 'select * from erp_old.orders, xerp.t, erp#1.t, erp$.t'],
  ['a line comment', '-- erp.orders\nselect 1 from dual'],
  ['a block comment over lines', '/* erp.orders\n erp.lines */ select 1 from dual'],
  ['a column of that name', 'select o.erp from orders o'],
  ['a database link of that name', 'select * from t@erp.world'],
  ['a bind', 'begin :erp.x := 1; end;'],
  ['a string that only talks of it', "x := 'The ERP. It is slow'"],
  ['a host name in a string', "x := 'www.erp-vendor.com'"],
])('what is not LIVE is left alone: %s', (_, code) => {
  expect(kinds(code)).toEqual([]);
});

test.each([
  ['SQL made of text', "execute immediate 'insert into erp.log values (1)'", ['text 1']],
  ['put together', "execute immediate 'insert into erp.' || name", ['text 1']],
  ['in an alternative quote', 'execute immediate q\'{delete from "ERP"."log"}\'', ['text 1']],
  ['the name as an argument', "dbms_stats.gather_schema_stats('ERP')", ['text 1']],
  ['the current schema in text', "execute immediate 'alter session set current_schema=erp'", ['text 1']],
])('a string that may be run is told apart: %s', (_, code, found) => {
  expect(kinds(code)).toEqual(found);
});

test('a schema made in quotes is met only by its very letters', () => {
  expect(kinds('select * from "Erp".t, erp.t, "ERP".t', 'Erp')).toEqual(['code 1']);
  expect(kinds('select * from "my erp".t', 'my erp')).toEqual(['code 1']);
});

test('rewriting changes the names in code and nothing else', () => {
  const code = `-- erp.a\nSELECT erp.f(x), "ERP"."b", 'erp is slow' FROM Erp . c`;
  expect(rewriteLiveNames(code, 'ERP', 'CLONA_ERP')).toBe(
    `-- erp.a\nSELECT "CLONA_ERP".f(x), "CLONA_ERP"."b", 'erp is slow' FROM "CLONA_ERP" . c`,
  );
});

test('a name with a second meaning is not rewritten by a machine', () => {
  const code = 'select erp.id from other.orders erp, erp.lines l';
  expect(findLiveNames(code, 'ERP').ambiguous).toBe(true);
  expect(rewriteLiveNames(code, 'ERP', 'CLONA_ERP')).toBeNull();
});

test('wrapped code is said to be unreadable', () => {
  const code = 'PACKAGE BODY pay wrapped \na000000\nb2\nabcd\nabcd\n';
  expect(findLiveNames(code, 'ERP')).toEqual({ names: [], ambiguous: false, wrapped: true });
  expect(rewriteLiveNames(code, 'ERP', 'CLONA_ERP')).toBeNull();
});

test('code that ends in the middle is read to its end', () => {
  for (const code of ["x := 'erp.", 'x := "erp', '/* erp.', "q'[erp."]) {
    expect(() => findLiveNames(code, 'ERP')).not.toThrow();
  }
});

/** Pieces of code, each whole in itself: whatever stands beside them, they mean the same. */
const pieces = {
  live: ['erp.t', 'ERP . t', '"ERP"."T"', 'Erp/* x */.t', 'ERP\n.t'],
  other: ['"erp".t', 'xerp.t', 'o.erp', 't@erp.w', ':erp.x', 'erp_.t'],
  kept: ["'erp.t'", "q'[it's erp.t]'", '-- erp.t\n', '/* erp.t */', "'it''s'", "N'erp'"],
} as const;

test('after a rewrite no name of LIVE is left in code, and everything else is as it was', () => {
  const piece = fc.constantFrom(
    ...Object.entries(pieces).flatMap(([kind, texts]) => texts.map((text) => ({ kind, text }))),
  );
  fc.assert(
    fc.property(fc.array(piece, { maxLength: 12 }), (list) => {
      const code = list.map(({ text }) => text).join(' , ');
      const found = findLiveNames(code, 'ERP').names.filter(({ kind }) => kind === 'code');
      expect(found).toHaveLength(list.filter(({ kind }) => kind === 'live').length);
      const rewritten = rewriteLiveNames(code, 'ERP', 'CLONA_ERP');
      if (rewritten === null) throw new Error('nothing here has a second meaning');
      expect(findLiveNames(rewritten, 'ERP').names.filter(({ kind }) => kind === 'code')).toEqual([]);
      expect(rewriteLiveNames(rewritten, 'ERP', 'CLONA_ERP')).toBe(rewritten);
      for (const { kind, text } of list) if (kind !== 'live') expect(rewritten).toContain(text);
    }),
  );
});
