import { messageType } from './messages.ts';
import type { LobRequest } from './requests.ts';
import { Clob, clobText, LocatedClob, lobChunkSize, OraError, type Column, type SqlValue } from './values.ts';
import type { Writer } from './writer.ts';

/** What a fetched locator stands for; in a session, as long as it lives. */
export interface KeptLobs {
  /** Puts a locator's number into every CLOB that goes out as a locator. */
  keep(
    row: readonly SqlValue[],
    columns: readonly Column[],
    longTexts: readonly boolean[],
  ): readonly SqlValue[];
  find(locator: Buffer): Clob;
}

const locatorBytes = 40;
const operations = { getLength: 1, read: 2, getChunkSize: 0x4000 } as const;
export function keepLobs(): KeptLobs {
  const lobs: Clob[] = [];
  return {
    keep(row, columns, longTexts) {
      if (!columns.some(({ type }) => type.kind === 'CLOB')) return row;
      return row.map((value, index) => {
        if (columns[index]?.type.kind !== 'CLOB' || longTexts[index] === true || value === null) return value;
        const locator = Buffer.alloc(locatorBytes);
        locator.writeUInt32BE(lobs.length, 20);
        lobs.push(new Clob(clobText(value)));
        return new LocatedClob(lobs.at(-1)!.text, locator);
      });
    },
    find(locator) {
      const lob = lobs[locator.readUInt32BE(20)];
      if (lob === undefined) throw new OraError(22275, 'invalid LOB locator specified');
      return lob;
    },
  };
}

/** Lengths and offsets count characters, from 1. */
export function answerLob(lobs: KeptLobs, request: LobRequest, writer: Writer): void {
  const { operation, locator, offset, amount } = request;
  const { text } = lobs.find(locator);
  let answer = text.length;
  if (operation === operations.read) {
    const part = text.slice(offset - 1, offset - 1 + amount);
    answer = part.length;
    writer.u8(messageType.lobData).text(part);
  } else if (operation === operations.getChunkSize) answer = lobChunkSize;
  else if (operation !== operations.getLength) {
    throw new OraError(22275, `invalid LOB locator specified (operation ${operation} is not simulated)`);
  }
  writer.u8(messageType.parameter).raw(locator).sb(answer);
}
