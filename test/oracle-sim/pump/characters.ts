import type { StoredTable } from '../instance/tables.ts';

/** Letters of WE8MSWIN1252 beside those of Latin-1. */
const windows = '€‚ƒ„…†‡ˆ‰Š‹ŒŽ‘’“”•–—˜™š›œžŸ';

/** How many bytes a text has in a character set: one for each letter but in Unicode. */
export function bytesOf(text: string, characterSet: string): number {
  return characterSet === 'AL32UTF8' ? Buffer.byteLength(text) : text.length;
}

/** Letters that a set of one byte lacks become its replacement sign, and nobody says so. */
function convert(text: string, characterSet: string): string {
  if (characterSet === 'AL32UTF8') return text;
  return text.replaceAll(/[^]/gu, (one) => (one.charCodeAt(0) < 256 || windows.includes(one) ? one : '¿'));
}

export interface Converted {
  rows: StoredTable['rows'];
  /** As the log of an import tells them. */
  errors: string[];
}

/** Rows in the character set of this database; a text that has more bytes there than its column is rejected with its row. */
export function convertRows(
  owner: string,
  name: string,
  table: StoredTable,
  characterSet: string,
): Converted {
  const errors: string[] = [];
  const rows: StoredTable['rows'] = [];
  for (const row of table.rows) {
    const values = row.map((value) => (typeof value === 'string' ? convert(value, characterSet) : value));
    const wide = table.columns.findIndex(({ type }, index) => {
      const limit = /^VARCHAR2\((\d+)\)$/.exec(type)?.[1];
      const value: unknown = values[index];
      return limit !== undefined && typeof value === 'string' && bytesOf(value, characterSet) > Number(limit);
    });
    const column = table.columns[wide];
    if (column === undefined) {
      rows.push(values);
      continue;
    }
    const actual = bytesOf(String(values[wide]), characterSet);
    const maximum = /\d+/.exec(column.type)?.[0];
    errors.push(
      `ORA-02374: conversion error loading table "${owner}"."${name}"`,
      `ORA-12899: value too large for column ${column.name} (actual: ${actual}, maximum: ${maximum})`,
      `ORA-02372: data for row: ${column.name} : 0X'00'`,
      '',
    );
  }
  return { rows, errors };
}
