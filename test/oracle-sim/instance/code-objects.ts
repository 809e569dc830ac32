import { OraError } from '../wire/values.ts';
import type { TokenCursor } from '../sql/cursor.ts';
import type { Given } from '../sql/fixtures.ts';
import { scan } from '../sql/lexer.ts';
import { findUser } from './accounts.ts';
import type { Instance } from './instance.ts';
import { changePage } from './physical/change.ts';
import { opened, type Database } from './physical/database.ts';
import { requirePrivilege, type Action, type Session } from './session.ts';
import { databaseOf } from './startup.ts';
import { fileFor, listPages, listTables } from './tables.ts';

/** Views, triggers, stored code and synonyms: kept as text and never run. */
export interface CodeObject {
  type: string;
  owner: string;
  name: string;
  /** As the dictionary keeps it: of a view the query, of code what follows CREATE OR REPLACE. */
  text: string;
  valid: boolean;
  /** What it names by OWNER.NAME, or of a synonym its target. */
  references: string[];
  /** Of a trigger. */
  table: { owner: string; name: string } | null;
}

const prefix = 'O:';
const kinds = ['FUNCTION', 'PROCEDURE', 'PACKAGE', 'TRIGGER', 'TYPE', 'VIEW', 'SYNONYM'] as const;

export function listCode(database: Database, transaction = 0): CodeObject[] {
  return listPages(database, transaction, prefix).map(({ content }) => JSON.parse(content) as CodeObject);
}

export function saveCode(
  session: Pick<Session, 'instance' | 'transaction'>,
  object: CodeObject,
  remove = false,
): void {
  const { instance } = session;
  const database = databaseOf(instance);
  const page = `${prefix}${object.owner}.${object.type}.${object.name}`;
  const known = listPages(database, session.transaction(), prefix).find((one) => one.page === page);
  const file = known?.file ?? fileFor(database, findUser(instance, `"${object.owner}"`));
  changePage(database, session.transaction(), file, page, remove ? null : JSON.stringify(object));
}

/** CREATE [OR REPLACE] [FORCE] [EDITIONABLE] kind …; null: the statement is of another kind. */
export function prepareCode(cursor: TokenCursor, sql: string, session: Session): Action | null {
  const words: string[] = [];
  for (let ahead = 0; ahead < 6 && cursor.peek(ahead).kind === 'word'; ahead += 1) {
    const { text } = cursor.peek(ahead);
    words.push(text);
    if ((kinds as readonly string[]).includes(text)) break;
  }
  const last = words.at(-1) ?? '';
  if (words[0] !== 'CREATE' || !(kinds as readonly string[]).includes(last)) return null;
  const allowed = new Set(['OR', 'REPLACE', 'FORCE', 'NOFORCE', 'EDITIONABLE', 'NONEDITIONABLE']);
  if (!words.slice(1, -1).every((word) => allowed.has(word))) return null;
  const start = cursor.peek(words.length - 1).at;
  for (const _ of words) cursor.next();
  const type = cursor.accept('BODY') ? `${last} BODY` : last;
  const first = cursor.name();
  const [owner, name] = cursor.accept('.') ? [first, cursor.name()] : [session.schema(), first];
  const about = { replace: words.includes('REPLACE'), type, owner, name };
  if (type === 'SYNONYM') return synonym(cursor, session, about);
  if (type === 'VIEW') skipTo(cursor, 'AS');
  const from = type === 'VIEW' ? cursor.peek(1).at : start;
  const text = sql.slice(from).replace(/;\s*$/, type === 'VIEW' ? '' : ';');
  const table = type === 'TRIGGER' ? triggerTable(cursor, session.schema()) : null;
  while (cursor.token.kind !== 'end') cursor.next();
  return create(session, { ...about, text, table, references: referencesIn(text) });
}

interface NewObject {
  replace: boolean;
  type: string;
  owner: string;
  name: string;
  text: string;
  table: CodeObject['table'];
  references: string[];
}

function create(session: Session, { replace, ...about }: NewObject): Action {
  const { user, instance } = session;
  const right = about.type
    .replace(' BODY', '')
    .replace('PACKAGE', 'PROCEDURE')
    .replace('FUNCTION', 'PROCEDURE');
  requirePrivilege(user, about.owner === user.name ? `CREATE ${right}` : `CREATE ANY ${right}`);
  return () => {
    const database = databaseOf(instance);
    opened(database);
    const known = listCode(database, session.transaction()).find(
      ({ owner, name, type }) => owner === about.owner && name === about.name && type === about.type,
    );
    if (known !== undefined && !replace)
      throw new OraError(955, 'name is already used by an existing object');
    saveCode(session, { ...about, valid: isValid(database, about) });
    session.commit();
  };
}

function synonym(
  cursor: TokenCursor,
  session: Session,
  about: Pick<NewObject, 'replace' | 'type' | 'owner' | 'name'>,
): Action {
  cursor.expect('FOR', 905, 'missing keyword');
  const first = cursor.name();
  const target = cursor.accept('.') ? `${first}.${cursor.name()}` : `${session.schema()}.${first}`;
  return create(session, { ...about, text: '', table: null, references: [target] });
}

function skipTo(cursor: TokenCursor, word: string): void {
  while (!cursor.is(word)) {
    if (cursor.next().kind === 'end') throw new OraError(905, 'missing keyword', cursor.token.at);
  }
}

function triggerTable(cursor: TokenCursor, schema: string): CodeObject['table'] {
  skipTo(cursor, 'ON');
  cursor.next();
  const first = cursor.name();
  return cursor.accept('.') ? { owner: first, name: cursor.name() } : { owner: schema, name: first };
}

/** OWNER.NAME in the code, as its compiler would see it: no comments, no strings. */
function referencesIn(text: string): string[] {
  const tokens = scan(text.replaceAll(/'(?:[^']|'')*'/g, "''"));
  const found = new Set<string>();
  for (const [index, { kind, text: first }] of tokens.entries()) {
    const [dot, second] = [tokens[index + 1], tokens[index + 2]];
    const isName = kind === 'word' || kind === 'quoted';
    if (isName && dot?.text === '.' && second !== undefined) found.add(`${first}.${second.text}`);
  }
  return [...found];
}

/** Code is valid when every table of a known user that it names is there. */
function isValid(database: Database, { references }: Pick<CodeObject, 'references'>): boolean {
  const tables = new Set(listTables(database).map(({ owner, name }) => `${owner}.${name}`));
  const owners = new Set(listTables(database).map(({ owner }) => owner));
  const code = new Set(listCode(database).map(({ owner, name }) => `${owner}.${name}`));
  return references.every((one) => tables.has(one) || code.has(one) || !owners.has(one.split('.')[0] ?? ''));
}

/** What names a table that goes is invalid from then on. */
export function invalidateFor(session: Session, owner: string, name: string): void {
  for (const object of listCode(databaseOf(session.instance), session.transaction())) {
    if (object.valid && object.references.includes(`${owner}.${name}`))
      saveCode(session, { ...object, valid: false });
  }
}

/** Looks again at what is invalid, as UTL_RECOMP does; null: in every schema. */
export function compileSchema(session: Session, schema: string | null): void {
  const database = databaseOf(session.instance);
  for (const object of listCode(database)) {
    if (schema !== null && object.owner !== schema) continue;
    const valid = isValid(database, object);
    if (valid !== object.valid) saveCode(session, { ...object, valid });
  }
  session.commit();
}

const codeOf = (instance: Instance): CodeObject[] =>
  instance.database === null || instance.database.open === null ? [] : listCode(instance.database);

/** Rows of the dictionary for code. */
export const codeViews: Record<string, (instance: Instance) => Given[]> = {
  DBA_SOURCE: (instance) =>
    codeOf(instance)
      .filter(({ type }) => type !== 'VIEW' && type !== 'SYNONYM')
      .flatMap(({ owner, name, type, text }) =>
        text
          .split(/(?<=\n)/)
          .map((line, index) => ({ OWNER: owner, NAME: name, TYPE: type, LINE: index + 1, TEXT: line })),
      ),
  DBA_VIEWS: (instance) =>
    codeOf(instance)
      .filter(({ type }) => type === 'VIEW')
      .map(({ owner, name, text }) => ({
        OWNER: owner,
        VIEW_NAME: name,
        TEXT_LENGTH: text.length,
        TEXT: text,
      })),
  DBA_SYNONYMS: (instance) =>
    codeOf(instance)
      .filter(({ type }) => type === 'SYNONYM')
      .map(({ owner, name, references: [target = ''] }) => ({
        OWNER: owner,
        SYNONYM_NAME: name,
        TABLE_OWNER: target.split('.')[0] ?? '',
        TABLE_NAME: target.slice(target.indexOf('.') + 1),
      })),
  DBA_TRIGGERS: (instance) =>
    codeOf(instance).flatMap(({ owner, name, table }) =>
      table === null
        ? []
        : [
            {
              OWNER: owner,
              TRIGGER_NAME: name,
              TABLE_OWNER: table.owner,
              TABLE_NAME: table.name,
              STATUS: 'ENABLED',
            },
          ],
    ),
  DBA_DEPENDENCIES: (instance) =>
    codeOf(instance).flatMap(({ owner, name, type, references }) =>
      references.map((one) => ({
        OWNER: owner,
        NAME: name,
        TYPE: type,
        REFERENCED_OWNER: one.split('.')[0] ?? '',
        REFERENCED_NAME: one.slice(one.indexOf('.') + 1),
        DEPENDENCY_TYPE: 'HARD',
      })),
    ),
  DBA_MVIEWS: () => [],
};

export function codeObjectRows(instance: Instance): Given[] {
  return codeOf(instance).map(({ owner, name, type, valid }, index) => ({
    OWNER: owner,
    OBJECT_NAME: name,
    OBJECT_ID: 80_000 + index,
    OBJECT_TYPE: type,
    STATUS: valid ? 'VALID' : 'INVALID',
    TEMPORARY: 'N',
    GENERATED: 'N',
    ORACLE_MAINTAINED: 'N',
  }));
}
