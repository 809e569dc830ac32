/** Names that the server gives: another number in every database that a definition is made anew in. Only with their number. */
export const serverName =
  /^(?:SYS_C\d+|SYS_(?:IL|LOB)\d+C\d+\$\$|SYS_NC\d+\$|SYS_IOT_(?:TOP|OVER)_\d+|SYS_(?:LOB_|IL_)?(?:SUB)?P\d+|ISEQ\$\$_\d+)$/;

/** Their text is what somebody wrote: a space may be part of it, and a line break may end a comment. */
const code = new Set([
  'VIEW',
  'TRIGGER',
  'PROCEDURE',
  'FUNCTION',
  'PACKAGE',
  'PACKAGE BODY',
  'TYPE',
  'TYPE BODY',
]);

/**
 * A definition of DBMS_METADATA without what differs between a database and its restored copy, or a day later: white space of its
 * own layout, names that the server invented, the order of constraints, where a sequence stands now, partitions that INTERVAL made.
 * Pure. `type` as DBA_OBJECTS has it.
 */
export function normaliseDdl(type: string, ddl: string): string {
  if (code.has(type)) return normaliseCode(ddl);
  const parts: string[] = [];
  const masked = mask(ddl, parts).replaceAll(/\s+/g, ' ').trim();
  return unmask(normaliseStructure(type, masked, parts), parts);
}

function normaliseCode(text: string): string {
  return text
    .replaceAll('\r\n', '\n')
    .replaceAll(/[ \t]+$/gm, '')
    .trim();
}

const quoted =
  /n?q'(?:\[[^]*?\]|\{[^]*?\}|\([^]*?\)|<[^]*?>|(\S)[^]*?\1)'|'(?:[^']|'')*'|"[^"]*"|--[^\n]*(?:\n|$)|\/\*[^]*?\*\//giu;

/** Texts, names in quotes and comments become numbers between two signs that stand in no definition outside of them. */
function mask(ddl: string, parts: string[]): string {
  return ddl.replaceAll(quoted, (part) => {
    parts.push(serverName.test(part.slice(1, -1)) && part.startsWith('"') ? '"SYS_"' : part);
    return `⟦${parts.length - 1}⟧`;
  });
}

function unmask(text: string, parts: readonly string[]): string {
  return text.replaceAll(/⟦(\d+)⟧/g, (_, index: string) => parts[Number(index)] ?? '');
}

function normaliseStructure(type: string, text: string, parts: readonly string[]): string {
  const named = text.replaceAll(/\bSYS_C\d+\b/g, 'SYS_C');
  if (type === 'SEQUENCE') return named.replaceAll(/\bSTART WITH -?\d+/gi, 'START WITH 1');
  if (type !== 'TABLE') return named;
  const identity = named.replaceAll(
    /(\bAS IDENTITY\b[^,()]*?\bSTART WITH )-?\d+/gi,
    (_, before: string) => `${before}1`,
  );
  return rewriteLists(identity, (items, isFirst) => {
    const kept = items.filter((item) => !isOwnPartition(item, parts));
    return isFirst ? sortConstraints(kept, parts) : kept;
  });
}

/** INTERVAL makes partitions as rows come: SYS_P123 is no change of the definition. */
function isOwnPartition(item: string, parts: readonly string[]): boolean {
  const index = /^(?:SUB)?PARTITION ⟦(\d+)⟧/.exec(item)?.[1];
  return index !== undefined && parts[Number(index)] === '"SYS_"';
}

const constraint = /^(?:CONSTRAINT|PRIMARY KEY|UNIQUE|CHECK|FOREIGN KEY|SUPPLEMENTAL LOG)\b/i;

/** The order of columns is part of a table; the one of its constraints is the order in which they were made. */
function sortConstraints(items: readonly string[], parts: readonly string[]): string[] {
  // By what they say: the numbers of what is masked are those of this very text.
  const said = new Map(items.map((item) => [item, unmask(item, parts)]));
  const order = (one: string, other: string): number => (said.get(one)! < said.get(other)! ? -1 : 1);
  return [
    ...items.filter((item) => !constraint.test(item)),
    ...items.filter((item) => constraint.test(item)).sort(order),
  ];
}

/** Calls `change` for every list in brackets outside of other brackets; the first is the one of the columns. */
function rewriteLists(text: string, change: (items: string[], isFirst: boolean) => string[]): string {
  let result = '';
  let depth = 0;
  let from = 0;
  let lists = 0;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '(' && (depth += 1) === 1) {
      result += text.slice(from, at + 1);
      from = at + 1;
    } else if (sign === ')' && (depth -= 1) === 0) {
      result += change(splitList(text.slice(from, at)), lists === 0).join(', ');
      from = at;
      lists += 1;
    }
  }
  return result + text.slice(from);
}

function splitList(text: string): string[] {
  const items: string[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    if (sign === '(') depth += 1;
    else if (sign === ')') depth -= 1;
    else if (sign === ',' && depth === 0) {
      items.push(text.slice(from, at).trim());
      from = at + 1;
    }
  }
  return [...items, text.slice(from).trim()];
}
