import type { JobLogJudgement } from '../../../proof/job-log.ts';
import type { SchemaPair } from './clone-schema.ts';

/** What the copy holds after the import; names as the dictionary writes them. */
export interface SchemaFacts {
  /** Rows by table, counted in the table itself. */
  rows: Readonly<Record<string, string>>;
  constraints: readonly ConstraintFact[];
  invalid: readonly InvalidObject[];
}

export interface ConstraintFact {
  table: string;
  name: string;
  /** P, U, R, C …, as DBA_CONSTRAINTS has it. */
  type: string;
  enabled: boolean;
  validated: boolean;
  /** Given by the server: SYS_C00123 has another number in the copy. */
  generated: boolean;
  /** Schema of the key that a foreign key points to. */
  referencedSchema: string | null;
}

export interface InvalidObject {
  name: string;
  type: string;
}

export interface ImportFinding {
  kind: 'rows' | 'constraint' | 'invalid' | 'live-name' | 'right';
  severity: 'failed' | 'warning';
  object: string;
  text: string;
}

/**
 * Row counts against the export's own log: every table that it names must be here with as many rows. Tables that the log does not
 * name (left out by metadata only, external) are told of, not judged.
 */
export function compareRows(
  pair: SchemaPair,
  exported: JobLogJudgement,
  rows: SchemaFacts['rows'],
): ImportFinding[] {
  const findings: ImportFinding[] = [];
  const named = new Set<string>();
  for (const [key, count] of Object.entries(exported.rows)) {
    const table = tableOf(key, pair.live);
    if (table === null) continue;
    named.add(table);
    const found = rows[table];
    if (found === undefined) {
      findings.push(failed('rows', table, `exported with ${count} rows, not in the copy`));
    } else if (BigInt(found) !== BigInt(count)) {
      findings.push(failed('rows', table, `exported with ${count} rows, the copy has ${found}`));
    }
  }
  if (named.size === 0) {
    findings.push(failed('rows', pair.live, 'the log of the export names no table of this schema'));
  }
  for (const [table, count] of Object.entries(rows)) {
    if (named.has(table) || count === '0') continue;
    findings.push(warning('rows', table, `${count} rows here, not named in the log of the export`));
  }
  return findings;
}

/** exp writes bare names when it exports one schema. */
function tableOf(key: string, schema: string): string | null {
  if (key.startsWith(`${schema}.`)) return key.slice(schema.length + 1);
  return key.includes('.') ? null : key;
}

/**
 * Constraints of the copy against those that were on LIVE (`before`; undefined: LIVE was not asked). What was enabled there is
 * enabled and validated here; what production itself keeps disabled or unvalidated is no fault of the import.
 */
export function compareConstraints(
  pair: SchemaPair,
  before: readonly ConstraintFact[] | undefined,
  after: readonly ConstraintFact[],
): ImportFinding[] {
  const findings: ImportFinding[] = [];
  const known = new Map(before?.map((constraint) => [keyOf(constraint), constraint]));
  if (before !== undefined) findings.push(...compareGenerated(before, after));
  for (const constraint of after) {
    const { table, name, enabled, validated, referencedSchema } = constraint;
    const object = `${table}.${name}`;
    if (referencedSchema === pair.live) {
      findings.push(failed('constraint', object, `points to a table of ${pair.live}`));
    }
    // Those that the server named are counted against production above.
    const was =
      before !== undefined && constraint.generated
        ? { enabled: false, validated: false }
        : known.get(keyOf(constraint));
    if (!enabled && was?.enabled !== false) findings.push(failed('constraint', object, 'is disabled'));
    else if (!enabled) findings.push(warning('constraint', object, 'is disabled, as in production'));
    else if (!validated && was?.validated !== false) {
      findings.push(failed('constraint', object, 'is not validated: rows that break it may be there'));
    } else if (!validated) {
      findings.push(warning('constraint', object, 'is not validated, as in production'));
    }
  }
  if (before === undefined) return findings;
  const here = new Set(after.map(keyOf));
  for (const constraint of before) {
    if (constraint.generated || here.has(keyOf(constraint))) continue;
    findings.push(failed('constraint', `${constraint.table}.${constraint.name}`, 'is not in the copy'));
  }
  return findings;
}

function keyOf({ table, name }: ConstraintFact): string {
  return JSON.stringify([table, name]);
}

/** Names that the server gave are others in the copy, and nothing else tells those of one kind in a table apart: they are counted. */
function compareGenerated(
  before: readonly ConstraintFact[],
  after: readonly ConstraintFact[],
): ImportFinding[] {
  const groups = new Map<string, { was: ConstraintFact[]; is: ConstraintFact[] }>();
  for (const [key, facts] of [
    ['was', before],
    ['is', after],
  ] as const) {
    for (const fact of facts) {
      if (!fact.generated) continue;
      const name = `${fact.table} (${fact.type}, named by the server)`;
      const group = groups.get(name) ?? { was: [], is: [] };
      group[key].push(fact);
      groups.set(name, group);
    }
  }
  return [...groups].flatMap(([object, { was, is }]) => {
    const count = (facts: readonly ConstraintFact[], rule: (fact: ConstraintFact) => boolean): number =>
      facts.filter(rule).length;
    const states = [
      ['are in the copy', () => true],
      ['are enabled', ({ enabled }: ConstraintFact) => enabled],
      ['are validated', ({ validated }: ConstraintFact) => validated],
    ] as const;
    const lost = states.find(([, rule]) => count(is, rule) < count(was, rule));
    if (lost === undefined) return [];
    const [what, rule] = lost;
    return [failed('constraint', object, `${count(is, rule)} of ${count(was, rule)} constraints ${what}`)];
  });
}

/** Invalid objects before and after: what production has as invalid may stay so, what became invalid is a fault. */
export function compareInvalid(
  before: readonly InvalidObject[] | undefined,
  after: readonly InvalidObject[],
): ImportFinding[] {
  const known = new Set(before?.map(({ type, name }) => `${type} ${name}`));
  return after.map(({ type, name }) =>
    known.has(`${type} ${name}`)
      ? warning('invalid', name, `${type.toLowerCase()} is invalid, as in production`)
      : failed(
          'invalid',
          name,
          `${type.toLowerCase()} is invalid${before === undefined ? '' : ' and was valid in production'}`,
        ),
  );
}

export function failed(kind: ImportFinding['kind'], object: string, text: string): ImportFinding {
  return { kind, severity: 'failed', object, text };
}

export function warning(kind: ImportFinding['kind'], object: string, text: string): ImportFinding {
  return { kind, severity: 'warning', object, text };
}

/** A privilege as the dictionary has it: on an object of `on`, or a system privilege or role (null). */
export interface RightFact {
  grantee: string;
  privilege: string;
  on: string | null;
  object: string | null;
}

/**
 * R21: the copy's user may do nothing, least of all with LIVE's schema. What everybody may with it is told where it only reads, and
 * a fault where it may change LIVE, unless somebody has accepted it by its words: `EXECUTE on ERP.PAY`.
 */
export function judgeRights(
  pair: SchemaPair,
  rights: readonly RightFact[],
  accepted: readonly string[] = [],
): ImportFinding[] {
  return rights.flatMap(({ grantee, privilege, on, object }) => {
    const what = on === null ? privilege : `${privilege} on ${on}.${object}`;
    if (grantee === pair.clone)
      return [failed('right', pair.clone, `has the right ${what}: it must have none`)];
    if (on !== pair.live) return [];
    const said = `everybody may ${what}, so the copy may, too`;
    // To read LIVE harms nobody; whatever else may change it, also a routine that runs with its owner's rights.
    const harmless = /^(?:SELECT|READ|REFERENCES|DEBUG|USE|QUERY REWRITE|ON COMMIT REFRESH)$/.test(privilege);
    return [(harmless || accepted.includes(what) ? warning : failed)('right', pair.live, said)];
  });
}
