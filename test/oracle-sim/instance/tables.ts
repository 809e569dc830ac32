import { OraError } from '../wire/values.ts';
import { rowsFrom, type Given } from '../sql/fixtures.ts';
import type { View } from '../sql/scope.ts';
import { parseType } from '../sql/view-columns.ts';
import type { StoredConstraint } from './constraints.ts';
import { holds, type User } from './accounts.ts';
import type { Instance } from './instance.ts';
import { readPage, changePage } from './physical/change.ts';
import { findFile, mounted, opened, type Database } from './physical/database.ts';
import { fromText, toText } from './physical/files.ts';

/** A table as its block holds it. */
export interface StoredTable {
  columns: { name: string; type: string }[];
  rows: Given[string][][];
  constraints?: StoredConstraint[];
}

export interface TablePlace {
  owner: string;
  name: string;
  file: number;
  page: string;
}

const prefix = 'T:';

export function pageOf(owner: string, name: string): string {
  return `${prefix}${owner}.${name}`;
}

/** Blocks whose name begins so, that this transaction sees. */
export function listPages(
  database: Database,
  transaction: number,
  start: string,
): { file: number; page: string; content: string }[] {
  return [...opened(database).files].flatMap(([file, { pages }]) =>
    [...pages.keys()].flatMap((page) => {
      if (!page.startsWith(start)) return [];
      const content = readPage(database, transaction, file, page);
      return content === null ? [] : [{ file, page, content }];
    }),
  );
}

export function listTables(database: Database, transaction = 0): (TablePlace & { table: StoredTable })[] {
  return listPages(database, transaction, prefix).map(({ file, page, content }) => {
    const [owner = '', name = ''] = page.slice(prefix.length).split('.');
    return { owner, name, file, page, table: readTable(content, findFile(mounted(database), file).name) };
  });
}

function readTable(content: string, file: string): StoredTable {
  if (content.startsWith('!')) {
    throw new OraError(
      1578,
      `ORACLE data block corrupted\nORA-01110: data file: '${file}'\nORA-26040: Data block was loaded using the NOLOGGING option`,
    );
  }
  return fromText(content) as StoredTable;
}

/** ORA-00942 for what is not there and for what one may not see. */
export function findPlace(
  database: Database,
  user: User,
  schema: string | null,
  name: string,
  privilege: string,
  transaction: number,
): (TablePlace & { table: StoredTable }) | null {
  if (database.open === null) return null;
  const owner = schema ?? user.name;
  const page = pageOf(owner, name);
  const found = listPages(database, transaction, page).find((one) => one.page === page);
  if (found === undefined) return null;
  const allowed =
    owner === user.name || holds(user, `${privilege} ANY TABLE`, `${privilege} ON ${owner}.${name}`);
  if (!allowed) return null;
  return { owner, name, file: found.file, page, table: readTable(found.content, '') };
}

export function saveTable(
  database: Database,
  transaction: number,
  { file, page }: { file: number; page: string },
  table: StoredTable | null,
): void {
  changePage(database, transaction, file, page, table === null ? null : toText(table));
}

/** There is no undo: what has changed since a moment cannot be seen as it was. */
function requireUnchanged(database: Database, { file, page }: TablePlace, asOf: bigint | null): void {
  const head = database.open?.files.get(file)?.pages.get(page)?.head;
  if (asOf !== null && head !== undefined && head > asOf)
    throw new OraError(1555, 'snapshot too old: rollback segment number with name "" too small');
}

/** The file a new object of this user lies in: of its tablespace, else the last one. */
export function fileFor(database: Database, user: Pick<User, 'quotas'> | undefined): number {
  const { files } = mounted(database);
  const wanted = Object.keys(user?.quotas ?? {})[0];
  return (files.find(({ tablespace }) => tablespace === wanted) ?? files.at(-1)!).file;
}

export function findTable(
  instance: Instance,
  user: User,
  schema: string | null,
  name: string,
  transaction: number,
  asOf: () => bigint | null = () => null,
): View | null {
  const { database } = instance;
  if (database === null) return null;
  const place = findPlace(database, user, schema, name, 'SELECT', transaction);
  if (place === null) return null;
  const columns = place.table.columns.map((column) => ({
    name: column.name,
    type: parseType(column.type),
  }));
  return {
    columns,
    rows: () => {
      const now = findPlace(database, user, schema, name, 'SELECT', transaction);
      if (now === null) throw new OraError(942, 'table or view does not exist');
      requireUnchanged(database, now, asOf());
      return rowsFrom(
        name,
        columns,
        now.table.rows.map((row) =>
          Object.fromEntries(columns.map((column, index) => [column.name, row[index] ?? null])),
        ),
      );
    },
  };
}
