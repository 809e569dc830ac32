import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from 'vitest';

const launcher = fileURLToPath(new URL('../../bin/clona.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'clona-job-log-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function prove(content: string | Uint8Array, ...args: string[]) {
  const path = join(folder, 'job.log');
  writeFileSync(path, content);
  const { status, stdout, stderr } = spawnSync(
    process.execPath,
    [launcher, 'prove', '--job-log', path, '--json', ...args],
    { encoding: 'utf8' },
  );
  const json: unknown = stdout === '' ? null : JSON.parse(stdout);
  return { status, json, stderr };
}

const german = `Export: Release 11.2.0.4.0 - Production on Di Okt 15 11:42:13 2019

"ERP"."SYS_EXPORT_SCHEMA_01" wird gestartet:  erp/******** dumpfile=erp.dmp
. . "ERP"."GRÖSSEN"   17,08 KB   12 Zeilen exportiert
Job "ERP"."SYS_EXPORT_SCHEMA_01" erfolgreich um Di Okt 15 11:42:13 2019 elapsed 0 00:00:33 abgeschlossen
`;

test('ok ends with 0 and prints one document with the four fields of the contract', () => {
  const { status, json } = prove(german);
  expect(status).toBe(0);
  expect(json).toMatchObject({ kind: 'expdp', verdict: 'ok', errors: [], rows: { 'ERP.GRÖSSEN': 12 } });
});

test('a warning ends with 4, and with 0 where it is accepted; a failure never', () => {
  const warning = german.replace(
    '. . ',
    'ORA-39173: Verschlüsselte Daten wurden unverschlüsselt gespeichert\n. . ',
  );
  expect(prove(warning)).toMatchObject({ status: 4, json: { verdict: 'warning' } });
  expect(prove(warning, '--accept', 'warning').status).toBe(0);
  const failed = german.replace('. . ', 'ORA-31693: Tabellendaten\n. . ');
  expect(prove(failed, '--accept', 'warning').status).toBe(4);
});

test.skipIf(process.platform === 'win32').each([
  ['UTF-8', Buffer.from(german)],
  ['UTF-16', Buffer.from(`\ufeff${german}`, 'utf16le')],
  // Longer than what is looked at for the encoding, of which a pipe gives the beginning alone.
  [
    'Latin-1, long',
    Buffer.from(
      german.replace(
        '. . ',
        `. . "ERP"."Ä"   1 KB   0 Zeilen exportiert\n${'a line of no meaning\n'.repeat(20_000)}. . `,
      ),
      'latin1',
    ),
  ],
])('a log comes through a pipe as well: %s', (_, content) => {
  const script = 'cat "$1" | "$2" "$3" prove --job-log /dev/stdin --json';
  const path = join(folder, 'piped.log');
  writeFileSync(path, content);
  const { status, stdout } = spawnSync('sh', ['-c', script, 'sh', path, process.execPath, launcher], {
    encoding: 'utf8',
  });
  expect({ status, answer: JSON.parse(stdout) as unknown }).toMatchObject({
    status: 0,
    answer: { kind: 'expdp', verdict: 'ok', rows: { 'ERP.GRÖSSEN': 12 } },
  });
});

test('a cut-off log ends with 4', () => {
  expect(prove(german.slice(0, -30).replace(/Job .*/, ''))).toMatchObject({
    status: 4,
    json: { verdict: 'incomplete' },
  });
});

test.each([
  ['UTF-8 with a mark', Buffer.from(`\ufeff${german}`)],
  ['UTF-16 little endian with a mark', Buffer.from(`\ufeff${german}`, 'utf16le')],
  ['UTF-16 little endian without a mark', Buffer.from(german, 'utf16le')],
  ['UTF-16 big endian', Buffer.from(`\ufeff${german}`, 'utf16le').swap16()],
  ['Latin-1', Buffer.from(german, 'latin1')],
  ['line ends of Windows', Buffer.from(german.replaceAll('\n', '\r\n'))],
])('reads %s', (_name, bytes) => {
  expect(prove(bytes)).toMatchObject({ status: 0, json: { verdict: 'ok', rows: { 'ERP.GRÖSSEN': 12 } } });
});

test('reads a Chinese log in its old encoding', () => {
  // "成功终止导出, 没有出现警告。" and "导出了 … 行" in GBK.
  const closing = Buffer.from('b3c9b9a6d6d5d6b9b5bcb3f62c20c3bbd3d0b3f6cfd6beafb8e6a1a3', 'hex');
  const exporting = Buffer.from('d5fdd4dab5bcb3f6b1ed', 'hex');
  const exported = Buffer.from('b5bcb3f6c1cb', 'hex');
  const rows = Buffer.from('d0d0', 'hex');
  const text = Buffer.concat([
    Buffer.from('Export: Release 11.2.0.1.0 - Production\n. '),
    exporting,
    Buffer.from(' TEST\n. . '),
    exporting,
    Buffer.from('                     CITY'),
    exported,
    Buffer.from('           4 '),
    rows,
    Buffer.from('\n'),
    closing,
    Buffer.from('\n'),
  ]);
  expect(prove(text)).toMatchObject({
    status: 0,
    json: { kind: 'exp', verdict: 'ok', rows: { 'TEST.CITY': 4 } },
  });
});

test('a file of another kind, a missing file and a wrong --accept are usage errors', () => {
  expect(prove('hello\n')).toMatchObject({ status: 2, json: { error: { code: 'CLONA-0703' } } });
  expect(prove('')).toMatchObject({ status: 2 });
  expect(prove(german, '--accept', 'failed')).toMatchObject({ status: 2 });
  const missing = spawnSync(process.execPath, [launcher, 'prove', '--job-log', join(folder, 'none.log')], {
    encoding: 'utf8',
  });
  expect(missing.status).toBe(2);
  expect(missing.stderr).toContain('CLONA-0101');
});
