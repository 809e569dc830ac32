import { expect, test } from 'vitest';
import { decideCode, type SchemaCode } from '../../../../src/databases/oracle/import/code-objects.ts';

const pair = { live: 'ERP', clone: 'CLONA_ERP' };
const source = (type: string, name: string, text: string): SchemaCode => ({
  objects: [{ type, name, text }],
  pointers: [],
});
const decide = (code: SchemaCode, mode: 'refuse' | 'rewrite', accepted: string[] = []) =>
  decideCode(pair, code, { mode, accepted }, () => ['ID', 'Sum']);
const named = source('PROCEDURE', 'PAY', 'PROCEDURE pay IS\nBEGIN\n  INSERT INTO erp.log VALUES (1);\nEND;');

test('by default code that names LIVE is refused, with the line', () => {
  expect(decide(named, 'refuse')).toEqual({
    rewrites: [],
    findings: [
      {
        kind: 'live-name',
        severity: 'failed',
        object: 'PROCEDURE PAY',
        text: 'names ERP outright: line 3: INSERT INTO erp.log VALUES (1);',
      },
    ],
  });
});

test.each([
  [
    'a procedure',
    named,
    'CREATE OR REPLACE PROCEDURE pay IS\nBEGIN\n  INSERT INTO "CLONA_ERP".log VALUES (1);\nEND;',
  ],
  [
    'a view, with its columns',
    source('VIEW', 'Sums', 'SELECT id, amount FROM ERP.orders'),
    'CREATE OR REPLACE FORCE VIEW "Sums" ("ID", "Sum") AS SELECT id, amount FROM "CLONA_ERP".orders',
  ],
  [
    'a synonym',
    { objects: [], pointers: [{ kind: 'synonym' as const, type: 'SYNONYM', name: 'ORD', to: 'ERP.orders' }] },
    'CREATE OR REPLACE SYNONYM "ORD" FOR "CLONA_ERP"."orders"',
  ],
])('on request it is rewritten: %s', (_, code, sql) => {
  expect(decide(code, 'rewrite')).toMatchObject({ findings: [], rewrites: [{ sql }] });
});

test.each([
  [
    'a string',
    source('PROCEDURE', 'P', "PROCEDURE p IS BEGIN EXECUTE IMMEDIATE 'delete from erp.t'; END;"),
    true,
  ],
  ['wrapped code', source('PACKAGE BODY', 'P', 'PACKAGE BODY p wrapped \na000000\nb2\n'), true],
  ['a name with two meanings', source('VIEW', 'V', 'SELECT erp.id FROM erp.t erp'), true],
  [
    'a package of the same name',
    source('PACKAGE', 'ERP', 'PACKAGE erp IS PROCEDURE pay; END; BEGIN erp.pay; END;'),
    true,
  ],
  ['a materialized view', source('MATERIALIZED VIEW', 'M', 'SELECT * FROM erp.t'), false],
])('%s is not rewritten, and what people may accept is accepted by name', (_, code, acceptable) => {
  const object = `${code.objects[0]?.type} ${code.objects[0]?.name}`;
  expect(decide(code, 'rewrite')).toMatchObject({ rewrites: [], findings: [{ severity: 'failed' }] });
  const severity = acceptable ? 'warning' : 'failed';
  expect(decide(code, 'rewrite', [object])).toMatchObject({ findings: [{ severity }] });
});

test('what the dictionary knows to point to LIVE is refused, though no word says so', () => {
  const pointers: SchemaCode['pointers'] = [
    { kind: 'trigger', type: 'TRIGGER', name: 'T', to: 'ERP.ORDERS' },
    { kind: 'dependency', type: 'VIEW', name: 'V', to: 'ERP.ORDERS' },
  ];
  expect(decide({ objects: [], pointers }, 'rewrite').findings).toMatchObject([
    { object: 'TRIGGER T', text: 'points to ERP.ORDERS', severity: 'failed' },
    { object: 'VIEW V', severity: 'failed' },
  ]);
});

test('what somebody accepted by its words is refused when the server knows that it points to LIVE', () => {
  const code: SchemaCode = {
    objects: [
      {
        type: 'PROCEDURE',
        name: 'P',
        text: "PROCEDURE p IS BEGIN EXECUTE IMMEDIATE 'delete from erp.t'; END;",
      },
    ],
    pointers: [{ kind: 'dependency', type: 'PROCEDURE', name: 'P', to: 'ERP.T' }],
  };
  expect(decide(code, 'refuse', ['PROCEDURE P']).findings.map(({ severity }) => severity)).toEqual([
    'warning',
    'failed',
  ]);
});

test("a package of the schema's own name makes every name before a dot doubtful", () => {
  const code: SchemaCode = {
    objects: [
      { type: 'PACKAGE', name: 'ERP', text: 'PACKAGE erp IS END;' },
      { type: 'PROCEDURE', name: 'P', text: 'PROCEDURE p IS BEGIN erp.pay; END;' },
    ],
    pointers: [],
  };
  expect(decide(code, 'rewrite')).toMatchObject({
    rewrites: [],
    findings: [{ object: 'PROCEDURE P', severity: 'failed' }],
  });
  expect(decide(code, 'rewrite', ['PROCEDURE P'])).toMatchObject({ findings: [{ severity: 'warning' }] });
});
