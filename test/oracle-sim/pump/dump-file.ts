import { createHash, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { fromText, toText } from '../instance/physical/files.ts';
import type { CodeObject } from '../instance/code-objects.ts';
import type { StoredTable } from '../instance/tables.ts';

/** A dump as this simulator writes it: a header block as tools see it (`strings`), then JSON. No real impdp reads it. */
export interface DumpHeader {
  /** Major of the format: 3 = 11.2, 4 = 12.1, 5 = 12.2 and newer. */
  format: number;
  guid: string;
  number: number;
  files: number;
  job: string;
  platform: string;
  instance: string;
  characterSet: string;
  version: string;
  createdAt: string;
  encryption: 'none' | 'password';
  /** Proves the password without holding it. */
  passwordHash: string | null;
}

export interface DumpedTable {
  owner: string;
  name: string;
  tablespace: string;
  table: StoredTable;
}

export interface DumpContent {
  header: DumpHeader;
  /** Only in the file with the master table. */
  master: { tables: string[]; code: CodeObject[]; schemas: string[] } | null;
  tables: DumpedTable[];
}

const headerBytes = 4096;
const mark = 'SIMULATED DUMP';

export function newGuid(): string {
  return randomBytes(16).toString('hex').toUpperCase();
}

export function hashPassword(password: string, guid: string): string {
  return createHash('sha256').update(`${guid}:${password}`).digest('hex');
}

export function writeDump(path: string, { header, ...rest }: DumpContent): void {
  const block = Buffer.alloc(headerBytes);
  block[0] = header.format;
  block[1] = 1;
  block.writeUInt16BE(header.number, 2);
  Buffer.from(header.guid, 'hex').copy(block, 4);
  const strings = [header.job, header.platform, header.instance, header.characterSet, header.version, mark];
  let at = 64;
  for (const one of strings) at += block.write(`${one}\0`, at, 'latin1');
  block.write(JSON.stringify(header), 1024, 'utf8');
  const body = Buffer.from(toText(rest), 'utf8');
  // An encrypted one must not be readable by looking into it.
  const hidden = header.encryption === 'none' ? body : body.map((byte) => byte ^ 0xa5);
  writeFileSync(path, Buffer.concat([block, hidden, Buffer.alloc((4096 - (hidden.length % 4096)) % 4096)]));
}

export type ReadDump =
  | { kind: 'pump'; content: DumpContent }
  | { kind: 'original' }
  | { kind: 'bad'; errors: string[] };

export function readDump(path: string): ReadDump {
  if (!existsSync(path)) {
    return {
      kind: 'bad',
      errors: [
        `ORA-31640: unable to open dump file "${path}" for read`,
        'ORA-27037: unable to obtain file status',
      ],
    };
  }
  const bytes = readFileSync(path);
  if (bytes.subarray(0, 64).includes('EXPORT:V')) return { kind: 'original' };
  if (bytes.length < headerBytes || !bytes.subarray(0, headerBytes).includes(mark)) {
    return { kind: 'bad', errors: [`ORA-31619: invalid dump file "${path}"`] };
  }
  if (bytes.length % 4096 !== 0) {
    return {
      kind: 'bad',
      errors: [
        `ORA-31640: unable to open dump file "${path}" for read`,
        'ORA-27046: file size is not a multiple of logical block size',
      ],
    };
  }
  const header = JSON.parse(
    bytes.subarray(1024, headerBytes).toString('utf8').replace(/\0+$/, ''),
  ) as DumpHeader;
  const body = bytes.subarray(headerBytes);
  const plain = header.encryption === 'none' ? body : body.map((byte) => byte ^ 0xa5);
  const text = Buffer.from(plain).toString('utf8');
  const rest = fromText(text.slice(0, text.lastIndexOf('}') + 1)) as Omit<DumpContent, 'header'>;
  return { kind: 'pump', content: { header, ...rest } };
}
