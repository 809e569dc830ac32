import type { User } from './accounts.ts';
import type { Instance } from './instance.ts';
import { changePage } from './physical/change.ts';
import { flushFile, type Database } from './physical/database.ts';
import { fromText, toText } from './physical/files.ts';
import type { Session } from './session.ts';
import { listPages } from './tables.ts';

/** Users and their rights lie in SYSTEM, a block each; who logs on as SYS is in the password file, beside the database. */
const prefix = 'U:';
const systemFile = 1;
const isInPasswordFile = ({ name }: User): boolean => name === 'SYS';

/** CREATE DATABASE: the first users are there from its first SCN on. */
export function layAccounts(database: Database, users: readonly User[]): void {
  const { control, open } = database;
  if (control === null || open === null) return;
  const { header, pages } = open.files.get(systemFile)!; // it was just made
  const scn = header.checkpointScn;
  for (const user of users.filter((one) => !isInPasswordFile(one))) {
    const page = { content: toText(user), transaction: 0, before: null, head: scn, tail: scn };
    pages.set(`${prefix}${user.name}`, page);
  }
  flushFile(database, systemFile, false);
}

/** An open database says who there is: after a restore that is what production had at that moment. */
export function readAccounts(instance: Instance): void {
  const { database } = instance;
  if (database === null || database.open === null) return;
  const stored = listPages(database, 0, prefix).map(({ content }) => fromText(content) as User);
  if (stored.length > 0) instance.users = [...instance.users.filter(isInPasswordFile), ...stored];
}

/** What a command has changed goes into the dictionary, and so into the redo; it commits, as all DDL. */
export function keepAccounts(session: Session): void {
  const { database, users } = session.instance;
  if (database === null || database.open === null) return;
  const stored = new Map(listPages(database, 0, prefix).map(({ page, content }) => [page, content]));
  const wanted = new Map(
    users.filter((one) => !isInPasswordFile(one)).map((user) => [`${prefix}${user.name}`, toText(user)]),
  );
  for (const page of new Set([...stored.keys(), ...wanted.keys()])) {
    const content = wanted.get(page) ?? null;
    if (content !== (stored.get(page) ?? null))
      changePage(database, session.transaction(), systemFile, page, content);
  }
  session.commit();
}
