import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { crc32c } from '../../../src/archive/crc32c.ts';
import { decodeDocument, encodeDocument } from '../../../src/archive/document.ts';
import { backupHeaderSchema } from '../../../src/archive/headers.ts';
import { decodeLogTrailer, encodeLogTrailer } from '../../../src/archive/log-file.ts';
import { findLength, parseControlFile } from '../../../src/databases/postgres/cold/control-file.ts';
import { parseCommand } from '../../../src/databases/postgres/cold/local-cluster.ts';
import { encodeBackupManifest } from '../../../src/databases/postgres/backup-manifest.ts';
import { findLogEnd, readLogRecords } from '../../../src/databases/postgres/log-records.ts';
import { parseBackupManifest } from '../../../src/databases/postgres/manifest.ts';
import { parseTimelineHistory } from '../../../src/databases/postgres/timeline.ts';
import { ClonaError } from '../../../src/errors.ts';

/** 100,000 by `npm run test:deep`: what a reader of an archive's files meets is an error that says where, never a crash or a hang. */
const runs = Number(process.env['CLONA_FUZZ'] ?? 3000);
const timeout = 60_000 + runs * 20;

interface Change {
  kind: 'flip' | 'set' | 'cut' | 'drop' | 'double' | 'insert';
  at: number;
  length: number;
  bytes: Uint8Array;
}

const anyChange: fc.Arbitrary<Change> = fc.record({
  kind: fc.constantFrom('flip', 'set', 'cut', 'drop', 'double', 'insert'),
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  length: fc.integer({ min: 1, max: 40 }),
  bytes: fc.uint8Array({ minLength: 1, maxLength: 12 }),
});

/** Bytes of a real file with a few of them changed, cut, doubled or put in from elsewhere. */
function change(seed: Buffer, changes: readonly Change[]): Buffer {
  let content = Buffer.from(seed);
  for (const { kind, at, length, bytes } of changes) {
    const from = Math.min(content.length - 1, Math.floor(at * content.length));
    if (content.length === 0) break;
    const [before, behind] = [content.subarray(0, from), content.subarray(from)];
    if (kind === 'flip') content[from]! ^= 1 << (length % 8);
    else if (kind === 'set') content.set(bytes.subarray(0, content.length - from), from);
    else if (kind === 'cut') content = Buffer.from(before);
    else if (kind === 'drop') content = Buffer.concat([before, behind.subarray(length)]);
    else if (kind === 'double') content = Buffer.concat([content.subarray(0, from + length), behind]);
    else content = Buffer.concat([before, bytes, behind]);
  }
  return content;
}

/** It is read, or refused by an error of ours that names the file. */
function readsOrRefuses(read: () => unknown, where: RegExp): boolean {
  try {
    read();
    return true;
  } catch (thrown) {
    expect(thrown instanceof ClonaError ? thrown.message : String(thrown)).toMatch(where);
    return false;
  }
}

function fuzz(
  seeds: readonly Buffer[],
  read: (content: Buffer) => unknown,
  where: RegExp,
): { read: number; refused: number } {
  const count = { read: 0, refused: 0 };
  const pick = fc.nat({ max: seeds.length - 1 });
  fc.assert(
    // What was done to which file is what a failure shows, not the file.
    fc.property(pick, fc.array(anyChange, { maxLength: 4 }), (index, changes) => {
      const content = change(seeds[index]!, changes);
      count[readsOrRefuses(() => read(content), where) ? 'read' : 'refused'] += 1;
    }),
    { numRuns: runs },
  );
  return count;
}

const sha256 = (text: string | Buffer): string => createHash('sha256').update(text).digest('hex');

const history = Buffer.from(
  '1\t0/3000158\tno recovery target specified\n\n# a comment\n2\t0/5000000\tbefore 2026-01-01 00:00:00+00\n',
);
const manifest = Buffer.from(
  encodeBackupManifest(
    {
      serverVersion: 180_000,
      systemIdentifier: '7710524412112660642',
      timeline: 2,
      start: 0x2000028n,
      stop: 0x2000158n,
    },
    [
      { path: 'PG_VERSION', sizeBytes: 3, modifiedAt: new Date(0), crc32c: 1 },
      {
        path: 'pg_tblspc/16384/PG_18/x "quoted"',
        sizeBytes: 2 ** 40,
        modifiedAt: new Date(0),
        crc32c: 0xffffffff,
      },
    ],
  ),
);
const header = {
  format: 1,
  label: 'B1',
  kind: 'cold',
  systemIdentifier: '1',
  database: 'erp',
  serverVersion: 180_004,
  timeline: 1,
  start: '100',
  consistentFrom: '100',
  startedAt: '2026-01-01T00:00:00Z',
  finishedAt: '2026-01-01T00:00:01Z',
  ownLog: true,
  archives: [
    {
      name: 'base.tar.zst',
      tablespaceOid: null,
      tablespacePath: null,
      rawBytes: 10,
      compressedBytes: 5,
      sha256: 'a'.repeat(64),
      frames: [{ compressedOffset: 0, compressedBytes: 5, rawOffset: 0, rawBytes: 10, inside: null }],
    },
  ],
  manifestSha256: 'b'.repeat(64),
  device: 'sda',
  rawBytes: 10,
  compressedBytes: 5,
  encryption: null,
  requirements: {
    settings: { max_connections: 100 },
    preloadLibraries: [],
    extensions: [],
    collations: [],
    dataChecksums: true,
    blockSizeBytes: 8192,
  },
  extraRedo: null,
  pauseMs: null,
  restorePoint: null,
};
const trailer = encodeLogTrailer({
  format: 1,
  name: '000000010000000000000001',
  systemIdentifier: '1',
  rawBytes: 2 ** 20,
  sha256: 'a'.repeat(64),
  frameSha256: 'b'.repeat(64),
  firstTime: null,
  lastTime: '2026-01-01T00:00:00Z',
  archivedAt: '2026-01-01T00:00:00Z',
});

describe('files that were damaged or made up', { timeout }, () => {
  test('.history: an error names the file and the line', () => {
    const { read, refused } = fuzz(
      [history, Buffer.from('1\t0/1\tx\n')],
      (content) => parseTimelineHistory(content.toString('latin1'), 3),
      /^00000003\.history: line \d+ /,
    );
    expect(Math.min(read, refused)).toBeGreaterThan(0);
  });

  test('backup_manifest: damage is found by its own checksum, and behind a right one by its shape', () => {
    expect(parseBackupManifest(manifest, 'm').files).toHaveLength(2);
    fuzz([manifest], (content) => parseBackupManifest(content, 'backup_manifest'), /^backup_manifest/);
    const { refused } = fuzz(
      [manifest.subarray(0, manifest.lastIndexOf('"Manifest-Checksum"'))],
      (content) =>
        parseBackupManifest(
          Buffer.concat([content, Buffer.from(`"Manifest-Checksum": "${sha256(content)}"}\n`)]),
          'backup_manifest',
        ),
      /^backup_manifest/,
    );
    expect(refused).toBeGreaterThan(0);
  });

  test('backup.json: the same, and no field of another shape is believed', () => {
    const whole = encodeDocument(header);
    expect(decodeDocument(whole, backupHeaderSchema, 'x')).toEqual(header);
    fuzz(
      [Buffer.from(whole)],
      (content) => decodeDocument(content.toString(), backupHeaderSchema, 'backup.json'),
      /^backup\.json/,
    );
    const before = Buffer.from(whole.slice(0, whole.lastIndexOf('"checksum"')));
    const { refused } = fuzz(
      [before],
      (content) => {
        const text = content.toString();
        return decodeDocument(`${text}"checksum":"${sha256(text)}"}\n`, backupHeaderSchema, 'backup.json');
      },
      /^backup\.json/,
    );
    expect(refused).toBeGreaterThan(0);
  });

  test('the facts at the end of a log file', () => {
    const { read, refused } = fuzz([trailer], (content) => decodeLogTrailer(content, 'segment'), /^segment/);
    expect(Math.min(read, refused)).toBeGreaterThan(0);
  });

  test('pg_control, with a checksum that is right again', () => {
    const length = 292;
    const control = Buffer.alloc(8192);
    control.writeBigUInt64LE(7n, 0);
    control.writeUInt32LE(1800, 8);
    control.writeUInt32LE(1, 16);
    control.writeDoubleLE(1_234_567, 208);
    const sealed = (content: Buffer): Buffer => {
      const whole = Buffer.alloc(8192);
      content.copy(whole, 0, 0, length);
      whole.writeUInt32LE(crc32c(whole.subarray(0, length)), length);
      return whole;
    };
    expect(findLength(sealed(control))).toBe(length);
    expect(parseControlFile(sealed(control), 'x').state).toBe('shut down');
    const { read, refused } = fuzz(
      [control.subarray(0, length)],
      (content) => parseControlFile(sealed(content), 'pg_control'),
      /^pg_control/,
    );
    expect(Math.min(read, refused)).toBeGreaterThan(0);
    fuzz([sealed(control)], (content) => parseControlFile(content, 'pg_control'), /^pg_control/);
  });

  test('postmaster.opts', () => {
    const seed = Buffer.from('/usr/bin/postgres "-D" "/data"\n');
    const { refused } = fuzz([seed], (content) => parseCommand(content.toString('latin1')), /never/);
    expect(refused).toBe(0);
  });

  test('a segment of the log: records are read to where they make sense, and no further', () => {
    const segment = Buffer.alloc(64 * 1024);
    for (let page = 0; page < segment.length; page += 8192) {
      segment.writeUInt16LE(0xd118, page);
      segment.writeUInt16LE(page === 0 ? 2 : 0, page + 2);
      segment.writeUInt32LE(1, page + 4);
      segment.writeBigUInt64LE(BigInt(0x100000 + page), page + 8);
    }
    segment.writeBigUInt64LE(7n, 24);
    segment.writeUInt32LE(segment.length, 32);
    segment.writeUInt32LE(8192, 36);
    for (let at = 40; at < 20_000; at += 120) if (at % 8192 > 40) segment.writeUInt32LE(114, at);
    fuzz(
      [segment],
      (content) => {
        let records = 0;
        for (const record of readLogRecords(content)) {
          records += 1;
          expect(record.end).toBeGreaterThan(record.position);
          record.body();
        }
        expect(records).toBeLessThanOrEqual(content.length / 24 + 1);
        findLogEnd(content);
      },
      /never/,
    );
  });
});
