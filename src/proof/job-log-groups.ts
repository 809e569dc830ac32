import {
  findRule,
  isStatisticsOnly,
  statisticsRule,
  unknownRule,
  type JobLogEffect,
} from './job-log-rules.ts';

export interface JobLogFinding {
  code: string | null;
  effect: 'failed' | 'warning';
  meaning: string;
  /** The line of the log, cut at 300 characters, and its number. */
  text: string;
  line: number;
}

export interface CodePlace {
  /** The closing line came before. */
  closed: boolean;
  isRman: boolean;
  /** Inside an error stack of RMAN. */
  inStack: boolean;
}

interface Group {
  code: string;
  effect: JobLogEffect;
  meaning: string;
  text: string;
  line: number;
  /** TABLE, USER …: what was not created, from the message or from the failing statement. */
  objects: string[];
  statement: string;
  stack: string[];
}

/** Findings that only the rest of the log decides. */
interface Deferred {
  group: Group;
  table: string | null;
}

const missingObjects = new Set(['TABLE', 'TABLE_DATA', 'USER', 'SCHEMA', 'PARTITION', 'SUBPARTITION']);
const keptFindings = 200;

/** Codes in groups: the one that reports, the ones that explain it, and the statement that failed. */
export class JobLogGroups {
  readonly codes: string[] = [];
  readonly findings: JobLogFinding[] = [];
  omitted = 0;
  failed = false;
  warning = false;
  fatal = false;
  #group: Group | null = null;
  readonly #seen = new Set<string>();
  readonly #deferred: Deferred[] = [];
  readonly #fatalFindings = new Set<JobLogFinding>();

  addCode(code: string, line: string, lineNumber: number, place: CodePlace): void {
    const rule = findRule(code);
    if (rule?.effect === 'frame') return;
    if (place.isRman || code.startsWith('RMAN-')) {
      this.#addRmanCode(code, line, lineNumber, place);
      return;
    }
    this.#note(code);
    if (this.#group !== null && (rule === undefined || rule.effect === 'detail')) return;
    this.endGroup();
    const { effect, meaning } = isStatisticsOnly(code, line) ? statisticsRule : (rule ?? unknownRule);
    this.#group = {
      code,
      effect: place.closed && isLateClientCode(code) ? 'notice' : effect === 'detail' ? 'missing' : effect,
      meaning,
      text: line.trim(),
      line: lineNumber,
      objects: effect === 'byObject' ? findObjects(line) : [],
      statement: '',
      stack: [],
    };
  }

  /** A line without a code: true when it belongs to the statement of the group that is open. */
  readBody(line: string): boolean {
    const group = this.#group;
    if (group === null) return false;
    const isQuoted = /^\s*"/.test(line);
    const isPath = /[A-Z]_EXPORT\/[A-Z_]+/.test(line);
    if ((group.effect === 'byObject' && !isPath) || (group.effect === 'byStatement' && isQuoted)) {
      if (!/^\s*"?\s*(?:CREATE|ALTER|INSERT|GRANT|COMMENT|BEGIN|DECLARE|ANALYZE|DROP|REVOKE)\b/i.test(line))
        return true;
      if (group.statement === '') group.statement = line.trim().replace(/^"\s*/, '').slice(0, 400);
      return true;
    }
    this.endGroup();
    return false;
  }

  /** What the judge found by other means than a code. */
  report(effect: 'failed' | 'warning', meaning: string, text: string, line: number): void {
    this.#keep({ code: null, effect, meaning, text: text.trim().slice(0, 300), line });
  }

  endGroup(): void {
    const group = this.#group;
    this.#group = null;
    if (group === null) return;
    if (
      group.stack.includes('RMAN-06054') &&
      group.stack.every((code) => /^RMAN-0(?:6054|3002|3015|3009)$/.test(code))
    ) {
      this.#deferred.push({ group, table: null });
      return;
    }
    if (group.code === 'ORA-39151' || group.code === 'IMP-00015') {
      const table = /CREATE TABLE\s+(?:"[^"]+"\.)?"([^"]+)"/i.exec(group.statement)?.[1] ?? null;
      this.#deferred.push({ group, table });
      return;
    }
    this.#decide(group, effectOf(group));
  }

  /** A stopped job was started again: what stopped it is past. */
  forgiveStop(): void {
    if (!this.fatal) return;
    this.fatal = false;
    this.warning = true;
    for (const finding of this.findings) if (this.#fatalFindings.delete(finding)) finding.effect = 'warning';
  }

  /** Decides what had to wait for the end of the log. */
  finish(facts: { metadataOnly: boolean; opened: boolean; hasTable: (name: string) => boolean }): void {
    this.endGroup();
    for (const { group, table } of this.#deferred.splice(0)) {
      if (group.code === 'ORA-39151') this.#decide(group, facts.metadataOnly ? 'notice' : 'missing');
      else if (group.code === 'IMP-00015') {
        this.#decide(group, table !== null && facts.hasTable(table) ? 'notice' : effectOf(group));
      } else this.#decide(group, facts.opened ? 'notice' : 'fatal');
    }
  }

  #addRmanCode(code: string, line: string, lineNumber: number, place: CodePlace): void {
    const rule = findRule(code);
    if (place.inStack) {
      this.#note(code);
      if (this.#group !== null && this.#group.stack.length > 0) {
        this.#group.stack.push(code);
        // The last line of a stack names the cause best.
        this.#group.meaning = rule?.meaning ?? this.#group.meaning;
        return;
      }
      this.endGroup();
      const meaning = rule?.meaning ?? 'RMAN stopped with an error';
      const group = { effect: 'fatal' as const, objects: [], statement: '', stack: [code] };
      this.#group = { code, meaning, text: line.trim(), line: lineNumber, ...group };
      return;
    }
    const warns = /warn|avert|advert|avvert|警告|경고|предупр|uyarı/i.test(line);
    // With MSGNO every line of RMAN carries a code: outside of an error stack an unknown one is information.
    if (code.startsWith('RMAN-') && rule === undefined && !warns) return;
    this.#note(code);
    if (this.#group !== null && rule === undefined) return;
    this.endGroup();
    const effect = rule?.effect ?? 'notice';
    const meaning = rule?.meaning ?? 'an error that RMAN got over';
    this.#group = {
      code,
      effect,
      meaning,
      text: line.trim(),
      line: lineNumber,
      objects: [],
      statement: '',
      stack: [],
    };
    if (code.startsWith('RMAN-') && effect !== 'fatal') this.endGroup();
  }

  #note(code: string): void {
    if (this.#seen.has(code)) return;
    this.#seen.add(code);
    this.codes.push(code);
  }

  #decide(group: Group, effect: JobLogEffect): void {
    const { code, meaning, text, line } = group;
    const finding: JobLogFinding = {
      code,
      effect: effect === 'notice' ? 'warning' : 'failed',
      meaning,
      text: text.slice(0, 300),
      line,
    };
    if (effect === 'fatal') {
      this.fatal = true;
      this.#fatalFindings.add(finding);
    }
    this.#keep(finding, effect === 'fatal');
  }

  #keep(finding: JobLogFinding, fatal = false): void {
    if (finding.effect === 'warning') this.warning = true;
    else if (!fatal) this.failed = true;
    if (this.findings.length < keptFindings) this.findings.push(finding);
    else this.omitted += 1;
  }
}

/** The job had its closing line: a client that lost it afterwards does no harm (UDE-31626 after the end). */
function isLateClientCode(code: string): boolean {
  return /^(?:UDE|UDI)-/.test(code) || code === 'ORA-31626' || code === 'ORA-39086';
}

function effectOf(group: Group): JobLogEffect {
  if (group.effect === 'byObject') {
    const known = group.objects.length > 0;
    if (group.objects.some((name) => missingObjects.has(name))) return 'missing';
    return known || /^(?:ALTER|GRANT|COMMENT|CREATE (?!TABLE|USER|GLOBAL))/i.test(group.statement)
      ? 'notice'
      : 'missing';
  }
  if (group.effect === 'byStatement') {
    const harmless =
      /^(?:ALTER|GRANT|REVOKE|COMMENT|ANALYZE|BEGIN|DECLARE|CREATE (?!TABLE|USER|GLOBAL TEMPORARY|CLUSTER))/i;
    return harmless.test(group.statement) ? 'notice' : 'missing';
  }
  return group.effect;
}

/** Object types of a message: uppercase words that no language translates. Names in quotes are not types. */
function findObjects(line: string): string[] {
  const text = line.replace(/^\s*ORA-\d+/, '').replaceAll(/"[^"]*"/g, '""');
  return (text.match(/(?<![A-Za-z0-9"])[A-Z][A-Z_]{2,}(?:\/[A-Z_]+)*(?![a-z])/g) ?? []).map(
    (path) => path.split('/').at(-1) ?? path,
  );
}
