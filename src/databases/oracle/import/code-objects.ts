import type { OracleSession } from '../connect.ts';
import { failed, warning, type ImportFinding } from './compare.ts';
import { findLiveNames, rewriteLiveNames, type LiveName } from './live-names.ts';
import type { SchemaPair } from './clone-schema.ts';

export interface CodeObject {
  type: string;
  name: string;
  text: string;
}

/** A synonym, a trigger or a foreign key that points somewhere by the dictionary's own word. */
export interface Pointer {
  kind: 'synonym' | 'trigger' | 'dependency';
  name: string;
  type: string;
  to: string;
}

export interface SchemaCode {
  objects: CodeObject[];
  pointers: Pointer[];
}

const sourceOf = `SELECT TYPE, NAME, TEXT FROM DBA_SOURCE WHERE OWNER = :owner ORDER BY TYPE, NAME, LINE`;
const viewsOf = `SELECT VIEW_NAME, TEXT FROM DBA_VIEWS WHERE OWNER = :owner ORDER BY VIEW_NAME`;
const materializedOf = `SELECT MVIEW_NAME, QUERY FROM DBA_MVIEWS WHERE OWNER = :owner ORDER BY MVIEW_NAME`;
const synonymsOf = `SELECT SYNONYM_NAME, TABLE_OWNER, TABLE_NAME FROM DBA_SYNONYMS WHERE OWNER = :owner AND DB_LINK IS NULL ORDER BY SYNONYM_NAME`;
const triggersOf = `SELECT TRIGGER_NAME, TABLE_OWNER, TABLE_NAME FROM DBA_TRIGGERS WHERE OWNER = :owner AND TABLE_OWNER <> :owner2 ORDER BY TRIGGER_NAME`;
const dependenciesOf = `SELECT NAME, TYPE, REFERENCED_OWNER, REFERENCED_NAME FROM DBA_DEPENDENCIES
 WHERE OWNER = :owner AND REFERENCED_OWNER = :live ORDER BY TYPE, NAME, REFERENCED_NAME`;

/** Every body of a schema, and what points out of it into `live`. */
export async function readCode(session: OracleSession, owner: string, live: string): Promise<SchemaCode> {
  const objects = new Map<string, CodeObject>();
  for (const [type, name, text] of await session.query(sourceOf, { owner }, 'reading DBA_SOURCE')) {
    const key = `${type} ${name}`;
    const object = objects.get(key) ?? { type: type ?? '', name: name ?? '', text: '' };
    object.text += text ?? '';
    objects.set(key, object);
  }
  for (const [sql, type, view] of [
    [viewsOf, 'VIEW', 'DBA_VIEWS'],
    [materializedOf, 'MATERIALIZED VIEW', 'DBA_MVIEWS'],
  ] as const) {
    for (const [name, text] of await session.query(sql, { owner }, `reading ${view}`)) {
      objects.set(`${type} ${name}`, { type, name: name ?? '', text: text ?? '' });
    }
  }
  const pointers: Pointer[] = [];
  const add = (kind: Pointer['kind'], type: string, rows: (string | null)[][]): void => {
    for (const [name, to, object] of rows) {
      if (to === live) pointers.push({ kind, type, name: name ?? '', to: `${to}.${object}` });
    }
  };
  add('synonym', 'SYNONYM', await session.query(synonymsOf, { owner }, 'reading DBA_SYNONYMS'));
  add(
    'trigger',
    'TRIGGER',
    await session.query(triggersOf, { owner, owner2: owner }, 'reading DBA_TRIGGERS'),
  );
  const rows = await session.query(dependenciesOf, { owner, live }, 'reading DBA_DEPENDENCIES');
  for (const [name, type, to, object] of rows) {
    const known = pointers.some((pointer) => pointer.name === name && pointer.type === type);
    if (!known)
      pointers.push({ kind: 'dependency', type: type ?? '', name: name ?? '', to: `${to}.${object}` });
  }
  return { objects: [...objects.values()], pointers };
}

export interface LiveNamePolicy {
  /** Code that names LIVE: refused, or rewritten where a machine can. */
  mode: 'refuse' | 'rewrite';
  /** `TYPE NAME` of objects whose strings or wrapped code somebody has looked at and takes the responsibility for. */
  accepted: readonly string[];
}

export interface CodeDecision {
  findings: ImportFinding[];
  /** Statements for a session whose current schema is the copy. */
  rewrites: { object: string; sql: string }[];
}

/**
 * What is to be done with code that names LIVE's schema (R21). `where`: 'live' before an import, when a rewrite is still to come;
 * 'clone' afterwards. Pure.
 */
export function decideCode(
  pair: SchemaPair,
  code: SchemaCode,
  policy: LiveNamePolicy,
  columnsOf: (view: string) => readonly string[] = () => [],
): CodeDecision {
  const decision: CodeDecision = { findings: [], rewrites: [] };
  // An object of the schema's own name is found first: ERP.PAY is the package ERP then, not the schema.
  const shadowed = code.objects.some(({ name }) => name === pair.live);
  for (const object of code.objects) decideObject(pair, object, policy, { columnsOf, shadowed }, decision);
  const rewritten = new Set(decision.rewrites.map(({ object }) => object));
  // What somebody has accepted by its words is refused all the same when the server knows better.
  const isRefused = (object: string): boolean =>
    decision.findings.some((finding) => finding.object === object && finding.severity === 'failed');
  for (const { kind, type, name, to } of code.pointers) {
    const object = `${type} ${name}`;
    if (kind === 'synonym' && policy.mode === 'rewrite') {
      const target = to.slice(pair.live.length + 1);
      decision.rewrites.push({
        object,
        sql: `CREATE OR REPLACE SYNONYM "${name}" FOR "${pair.clone}"."${target}"`,
      });
    } else if (!rewritten.has(object) && !isRefused(object)) {
      decision.findings.push(failed('live-name', object, `points to ${to}`));
    }
  }
  return decision;
}

function decideObject(
  pair: SchemaPair,
  { type, name, text }: CodeObject,
  { mode, accepted }: LiveNamePolicy,
  { columnsOf, shadowed }: { columnsOf: (view: string) => readonly string[]; shadowed: boolean },
  decision: CodeDecision,
): void {
  const object = `${type} ${name}`;
  const found = findLiveNames(text, pair.live);
  const inCode = found.names.filter(({ kind }) => kind === 'code');
  const inText = found.names.filter(({ kind }) => kind === 'text');
  const isAccepted = accepted.includes(object);
  const report = isAccepted ? warning : failed;
  if (found.wrapped) {
    decision.findings.push(report('live-name', object, 'is wrapped: nobody can read whether it names LIVE'));
    return;
  }
  if (inText.length > 0) {
    decision.findings.push(
      report('live-name', object, `names ${pair.live} in a string that may be run: ${show(inText)}`),
    );
  }
  if (inCode.length === 0) return;
  if (found.ambiguous || shadowed) {
    const why = `may name ${pair.live}, or something else of that name: ${show(inCode)}`;
    decision.findings.push(report('live-name', object, why));
    return;
  }
  const rewritten = mode === 'rewrite' ? rewriteLiveNames(text, pair.live, pair.clone) : null;
  const sql = rewritten === null ? null : createStatement(type, name, rewritten, columnsOf);
  if (sql !== null) decision.rewrites.push({ object, sql });
  else {
    const why = mode === 'refuse' ? '' : ' and cannot be rewritten by a machine';
    decision.findings.push(failed('live-name', object, `names ${pair.live} outright${why}: ${show(inCode)}`));
  }
}

function show(names: readonly LiveName[]): string {
  const shown = names.slice(0, 3).map(({ line, excerpt }) => `line ${line}: ${excerpt}`);
  return `${shown.join('; ')}${names.length > 3 ? ` and ${names.length - 3} more` : ''}`;
}

const sourceTypes = new Set([
  'FUNCTION',
  'PROCEDURE',
  'PACKAGE',
  'PACKAGE BODY',
  'TRIGGER',
  'TYPE',
  'TYPE BODY',
]);

/** null: its statement cannot be made again from what the dictionary keeps (materialized views). */
function createStatement(
  type: string,
  name: string,
  text: string,
  columnsOf: (view: string) => readonly string[],
): string | null {
  if (sourceTypes.has(type)) return `CREATE OR REPLACE ${text}`;
  if (type !== 'VIEW') return null;
  const columns = columnsOf(name);
  const list = columns.length === 0 ? '' : ` (${columns.map((column) => `"${column}"`).join(', ')})`;
  return `CREATE OR REPLACE FORCE VIEW "${name}"${list} AS ${text}`;
}
