import type { Identity } from './backend.ts';
import { messageType } from './messages.ts';
import type { Writer } from './writer.ts';

const utf8 = 873;
const utf16 = 2000;
/** Compile capability 7: field version 12 is 19.1. It keeps tokens, domains and vectors away. */
const fieldVersion = { at: 7, is: 12 };

export function writeProtocol(writer: Writer, { banner }: Identity): void {
  writer
    .u8(messageType.protocol, 6, 0)
    .raw(Buffer.from(`${banner}\0`, 'ascii'))
    .u16le(utf8)
    .u8(1)
    .u16le(0);
  const fdo = Buffer.alloc(11);
  fdo.writeUInt16BE(utf16, 9);
  writer.u16(fdo.length).raw(fdo);
  const compile = Buffer.alloc(42);
  compile[fieldVersion.at] = fieldVersion.is;
  const runtime = Buffer.alloc(11);
  runtime[0] = 2;
  runtime[1] = 1; // the zone of the database comes with DATA_TYPES
  runtime[6] = 4; // strings of 32767 bytes
  writer.bytes(compile).bytes(runtime);
}

/** The database's zone as an interval, and no data types but the client's. */
export function writeDataTypes(writer: Writer, { databaseOffsetMinutes }: Identity): void {
  const zone = Buffer.from([0x80, 0, 0, 0, 60, 60, 60, 0x80, 0, 0, 0]);
  zone[4] = Math.trunc(databaseOffsetMinutes / 60) + 60;
  zone[5] = (databaseOffsetMinutes % 60) + 60;
  writer.u8(messageType.dataTypes).raw(zone).u16(0);
}
