/** What a Data Pump job was asked for, as its start line repeats it. */
export interface JobRequest {
  text: string;
  /** Tables named one by one whose rows must appear in the log: "SCHEMA.TABLE" or "TABLE". */
  tables: string[];
  metadataOnly: boolean;
}

/** Reads the command line that follows the job's name; passwords are already starred out by the tool. */
export function parseRequest(text: string): JobRequest {
  const metadataOnly = /\bcontent="?metadata_only/i.test(text);
  const noRows =
    metadataOnly || /\b(?:sqlfile=|estimate_only="?y|transport_\w+=|views_as_tables=)/i.test(text);
  const renamed = /\bremap_table=/i.test(text);
  if (noRows || renamed) return { text, tables: [], metadataOnly };
  const list = /(?:^|\s)tables=(\([^)]*\)|"[^\s]*|[^\s]+)/i.exec(text)?.[1] ?? '';
  const remapped = /\bremap_schema=/i.test(text);
  const tables = list
    .replaceAll(/[()]/g, '')
    .split(',')
    .map((item) => toName(item.trim(), remapped))
    .filter((name) => name !== null);
  return { text, tables, metadataOnly };
}

function toName(item: string, remapped: boolean): string | null {
  if (item === '' || item.includes('%') || item.includes('\\')) return null;
  const table = item.split(':')[0] ?? '';
  const parts = table.match(/"[^"]+"|[^."]+/g) ?? [];
  const names = parts.map((part) => (part.startsWith('"') ? part.slice(1, -1) : part.toUpperCase()));
  if (names.length === 0 || names.length > 2) return null;
  return remapped ? (names.at(-1) ?? null) : names.join('.');
}
