import { expect, test } from 'vitest';
import { redact } from '../../../src/kit/apply/output.ts';

test.each([
  ['PGPASSWORD=hunter2 psql', 'PGPASSWORD=••• psql'],
  ['export DB_PASSWORD="hun ter2"', 'export DB_PASSWORD=•••'],
  ['aws_secret_access_key: hunter2', 'aws_secret_access_key: •••'],
  ['{"client-secret":"hunter2","n":1}', '{"client-secret":•••,"n":1}'],
  ['mysql --password hunter2 -u root', 'mysql --password ••• -u root'],
  ['tool --token=hunter2', 'tool --token=•••'],
  ['<password>hunter2</password>', '<password>•••</password>'],
  ["ALTER ROLE erp PASSWORD 'hunter''2'", 'ALTER ROLE erp PASSWORD •••'],
  ['CREATE USER erp IDENTIFIED BY hunter2;', 'CREATE USER erp IDENTIFIED BY •••;'],
  ['Authorization: Bearer hunter2', 'Authorization: Bearer •••'],
  ['sqlplus -s erp/hunter2@live @x.sql', 'sqlplus -s erp/•••@live @x.sql'],
  ['expdp userid=erp/hunter2 full=y', 'expdp userid=erp/••• full=y'],
  ['postgres://erp:hunter2@host/db', 'postgres://erp:•••@host/db'],
  ['Kennwort: hunter2', 'Kennwort: •••'],
  [
    '-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----',
    '-----BEGIN PRIVATE KEY-----•••-----END PRIVATE KEY-----',
  ],
])('of %j no secret is kept', (text, shown) => {
  expect(redact(text, [])).toBe(shown);
});

test.each([
  '12 tests passed: 12, failed: 0',
  'bypass=1 compass: north',
  'connect as sysdba',
  'sqlplus / as sysdba',
  'the password of erp was changed',
  'import of SCOTT/EMP: 14 rows',
  '- token ring',
  'https://host:8080/path@x',
])('%j stays as it is', (text) => {
  expect(redact(text, [])).toBe(text);
});

test.each(['x', 'a.', 'pass_', 'secret-a_', '<token', '--pwd '])(
  '64 KiB of %j are looked through at once',
  (word) => {
    const text = word.repeat(65_536 / word.length);
    // A pattern that tries every way would not end within the time of a test.
    expect(redact(text, [])).toHaveLength(text.length);
  },
);

test('a secret that is known goes in each of its forms', () => {
  expect(redact("p=a b'c a%20b'c a b''c", ["a b'c"])).not.toMatch(/a b|a%20b/);
});
