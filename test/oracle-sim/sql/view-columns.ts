import type { Column, ColumnType } from '../wire/values.ts';
import written from './view-columns.json' with { type: 'json' };

/** Columns of every view there is here, in their order: from the references named in the README, 19c. */
export const viewColumns: ReadonlyMap<string, readonly Column[]> = new Map(
  Object.entries(written).map(([view, columns]) => [
    view,
    Object.entries(columns).map(([name, type]) => ({ name, type: parseType(type) })),
  ]),
);

export function parseType(text: string): ColumnType {
  const [, kind = '', size = '0'] = /^([A-Z0-9 ]+?)(?:\((\d+)\))?$/.exec(text) ?? [];
  switch (kind) {
    case 'NUMBER':
    case 'DATE':
    case 'TIMESTAMP':
    case 'TIMESTAMP WITH TIME ZONE':
    case 'CLOB':
      return { kind };
    case 'VARCHAR2':
    case 'RAW':
      return { kind, size: Number(size) };
    default:
      throw new Error(`the simulator knows no type ${text}`);
  }
}
