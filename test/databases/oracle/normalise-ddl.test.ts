import { describe, expect, test } from 'vitest';
import { normaliseDdl } from '../../../src/databases/oracle/normalise-ddl.ts';

const table = (inside: string, after = ''): string =>
  `\n  CREATE TABLE "ERP"."T" \n   (\t${inside}\n   ) ${after}`;
const intervals = (partitions: string): string =>
  table('"D" DATE', `PARTITION BY RANGE ("D") INTERVAL (NUMTOYMINTERVAL(1,'MONTH')) (${partitions}) `);
const first = `PARTITION "P0"  VALUES LESS THAN (TO_DATE(' 2026-01-01 00:00:00', 'SYYYY-MM-DD HH24:MI:SS'))`;

describe('a definition is the same', () => {
  test.each<[string, string, string, string]>([
    ['laid out in another way', 'TABLE', table('"ID" NUMBER, \n\t"N"   DATE'), table('"ID" NUMBER,"N" DATE')],
    [
      'with another number in the name of a constraint',
      'TABLE',
      table('"ID" NUMBER CONSTRAINT "SYS_C0012345" NOT NULL ENABLE'),
      table('"ID" NUMBER CONSTRAINT "SYS_C0098765" NOT NULL ENABLE'),
    ],
    [
      'with its constraints in another order',
      'TABLE',
      table(
        '"ID" NUMBER, CONSTRAINT "A" CHECK (id in (1, 2)) ENABLE, CONSTRAINT "B" PRIMARY KEY ("ID") ENABLE',
      ),
      table(
        '"ID" NUMBER, CONSTRAINT "B" PRIMARY KEY ("ID") ENABLE, CONSTRAINT "A" CHECK (id in (1, 2)) ENABLE',
      ),
    ],
    [
      'whose constraints without a name stand in another order',
      'TABLE',
      table('"ID" NUMBER, CHECK (id > 0) ENABLE, UNIQUE ("ID") ENABLE'),
      table('"ID" NUMBER, UNIQUE ("ID") ENABLE, CHECK (id > 0) ENABLE'),
    ],
    [
      'whose identity has counted on',
      'TABLE',
      table(
        '"ID" NUMBER GENERATED ALWAYS AS IDENTITY MINVALUE 1 INCREMENT BY 1 START WITH 21 CACHE 20 NOT NULL ENABLE',
      ),
      table(
        '"ID" NUMBER GENERATED ALWAYS AS IDENTITY MINVALUE 1 INCREMENT BY 1 START WITH 4041 CACHE 20 NOT NULL ENABLE',
      ),
    ],
    [
      'whose default is of an own sequence of the server',
      'TABLE',
      table('"ID" NUMBER DEFAULT "ERP"."ISEQ$$_73411".nextval'),
      table('"ID" NUMBER DEFAULT "ERP"."ISEQ$$_99".nextval'),
    ],
    [
      'with a partition more that INTERVAL has made',
      'TABLE',
      intervals(first),
      intervals(
        `${first}, PARTITION "SYS_P881"  VALUES LESS THAN (TO_DATE(' 2026-02-01 00:00:00', 'SYYYY-MM-DD'))`,
      ),
    ],
    [
      'with another number in an index over an expression',
      'INDEX',
      'CREATE INDEX "ERP"."I" ON "ERP"."T" ("SYS_NC00003$")',
      'CREATE INDEX "ERP"."I" ON "ERP"."T" ("SYS_NC00004$")',
    ],
    [
      'of a sequence that has counted on',
      'SEQUENCE',
      'CREATE SEQUENCE "ERP"."S" MINVALUE 1 INCREMENT BY 1 START WITH 1042 CACHE 20',
      'CREATE SEQUENCE "ERP"."S" MINVALUE 1 INCREMENT BY 1 START WITH 7 CACHE 20',
    ],
    [
      'with the line ends of another system',
      'PROCEDURE',
      'PROCEDURE p IS\r\nBEGIN NULL;  \r\nEND;\n',
      'PROCEDURE p IS\nBEGIN NULL;\nEND;',
    ],
  ])('%s', (_, type, one, other) => {
    expect(normaliseDdl(type, one)).toBe(normaliseDdl(type, other));
  });
});

describe('a change is found', () => {
  test.each<[string, string, string, string]>([
    ['a column more', 'TABLE', table('"ID" NUMBER'), table('"ID" NUMBER, "X" DATE')],
    ['columns in another order', 'TABLE', table('"A" NUMBER, "B" DATE'), table('"B" DATE, "A" NUMBER')],
    ['a type that is wider', 'TABLE', table('"A" VARCHAR2(10)'), table('"A" VARCHAR2(20)')],
    ['NOT NULL', 'TABLE', table('"A" NUMBER'), table('"A" NUMBER NOT NULL ENABLE')],
    [
      'a default',
      'TABLE',
      table('"A" VARCHAR2(9) DEFAULT \'a  b\''),
      table('"A" VARCHAR2(9) DEFAULT \'a b\''),
    ],
    [
      'a constraint that is disabled',
      'TABLE',
      table('CONSTRAINT "C" CHECK (a) ENABLE'),
      table('CONSTRAINT "C" CHECK (a) DISABLE'),
    ],
    [
      'a condition',
      'TABLE',
      table('CONSTRAINT "C" CHECK (a > 1) ENABLE'),
      table('CONSTRAINT "C" CHECK (a > 2) ENABLE'),
    ],
    [
      'a name of somebody that looks like one of the server',
      'TABLE',
      table('CONSTRAINT "SYS_CUSTOMER" CHECK (a)'),
      table('CONSTRAINT "SYS_CHECKED" CHECK (a)'),
    ],
    ['a column in double quotes with two spaces', 'TABLE', table('"My  Col" DATE'), table('"My Col" DATE')],
    ['a partition that somebody made', 'TABLE', intervals(first), intervals(first.replace('2026', '2027'))],
    [
      'the step of a sequence',
      'SEQUENCE',
      'CREATE SEQUENCE "S" INCREMENT BY 1 START WITH 3',
      'CREATE SEQUENCE "S" INCREMENT BY 2 START WITH 3',
    ],
    [
      'a view that begins a tree somewhere else',
      'VIEW',
      'CREATE VIEW "V" AS SELECT 1 FROM t START WITH 10 = p CONNECT BY PRIOR id = p',
      'CREATE VIEW "V" AS SELECT 1 FROM t START WITH 20 = p CONNECT BY PRIOR id = p',
    ],
    [
      'a line that became a comment',
      'PROCEDURE',
      'BEGIN\n-- pay\nDELETE FROM t;\nEND;',
      'BEGIN\n-- pay DELETE FROM t;\nEND;',
    ],
    ['a string with another space', 'PACKAGE BODY', "x := 'a  b';", "x := 'a b';"],
    [
      'a trigger that is disabled',
      'TRIGGER',
      'CREATE TRIGGER "R" BEGIN NULL; END;\nALTER TRIGGER "ERP"."R" ENABLE',
      'CREATE TRIGGER "R" BEGIN NULL; END;\nALTER TRIGGER "ERP"."R" DISABLE',
    ],
    [
      'a synonym that leads elsewhere',
      'SYNONYM',
      'CREATE SYNONYM "ERP"."S" FOR "A"."T"',
      'CREATE SYNONYM "ERP"."S" FOR "B"."T"',
    ],
    ['an index on another column', 'INDEX', 'CREATE INDEX "I" ON "T" ("A")', 'CREATE INDEX "I" ON "T" ("B")'],
    [
      'an index that became unique',
      'INDEX',
      'CREATE INDEX "I" ON "T" ("A")',
      'CREATE UNIQUE INDEX "I" ON "T" ("A")',
    ],
  ])('%s', (_, type, one, other) => {
    expect(normaliseDdl(type, one)).not.toBe(normaliseDdl(type, other));
  });
});
