export type JobLogKind = 'expdp' | 'impdp' | 'exp' | 'imp' | 'rman';

/** Points for each tool: banners, codes and forms of line that only one of them writes. */
export type KindClues = Record<JobLogKind, number> & {
  pump: number;
  original: number;
  out: number;
  in: number;
};

export function createKindClues(): KindClues {
  return { expdp: 0, impdp: 0, exp: 0, imp: 0, rman: 0, pump: 0, original: 0, out: 0, in: 0 };
}

interface ClueRow {
  pattern: RegExp;
  points: Partial<KindClues>;
}

const outWords = /export|esport|экспорт|エクスポート|导出|匯出|엑스포트|eksport/i;
const inWords = /import|импорт|インポート|导入|匯入|임포트/i;

const clueTable: readonly ClueRow[] = [
  { pattern: /^\s*(?:Export|Eksport|Exporta\S+|Esportazione)\s?: Release\b/i, points: { out: 50, pump: 1 } },
  { pattern: /^\s*(?:Import|Importa\S+|Importazione)\s?: Release\b/i, points: { in: 50, pump: 1 } },
  { pattern: /^\s*Recovery Manager\s?: Release|^\s*RMAN>/i, points: { rman: 50 } },
  { pattern: /^\s*RMAN-\d{3,5}/, points: { rman: 20 } },
  { pattern: /^\s*EXP-\d{3,5}/, points: { exp: 50 } },
  { pattern: /^\s*IMP-\d{3,5}/, points: { imp: 50 } },
  { pattern: /^\s*UDE-\d{3,5}/, points: { pump: 20, out: 20 } },
  { pattern: /^\s*UDI-\d{3,5}/, points: { pump: 20, in: 20 } },
  { pattern: /^\s*ORA-(?:39\d{3}|316\d\d)\b/, points: { pump: 5 } },
  { pattern: /"SYS_EXPORT_[A-Z_]+\d+"/, points: { pump: 20, out: 20 } },
  { pattern: /"SYS_(?:IMPORT|SQL_FILE)_[A-Z_]+\d+"/, points: { pump: 20, in: 20 } },
  { pattern: /\b(?:SCHEMA|DATABASE|TABLE|TRANSPORTABLE|TABLESPACE)_EXPORT\/[A-Z_]+/, points: { pump: 20 } },
  { pattern: /\bEXPORT:V\d\d\.\d\d/, points: { original: 20, in: 50 } },
  {
    pattern:
      /^\s*(?:input datafile file number=|input datafile fno=|piece handle=|(?:allocated|released) channel: )/i,
    points: { rman: 10 },
  },
  {
    pattern: /^\s*channel \w+: (?:starting|specifying|finished|restor|reading|backup set)/i,
    points: { rman: 10 },
  },
  {
    pattern: /^\s*(?:Starting|Finished) (?:backup|restore|recover|validate|Control File)/i,
    points: { rman: 5 },
  },
  { pattern: /\b(?:remap_\w+|table_exists_action|sqlfile)=/i, points: { in: 3 } },
  {
    pattern: /\b(?:flashback_(?:scn|time)|estimate(?:_only)?|compression|reuse_dumpfiles)=/i,
    points: { out: 3 },
  },
];

/** Collects what a line tells of its tool; true when it is the banner that begins a run. */
export function noteKindClues(clues: KindClues, line: string): boolean {
  // A big log is millions of row lines: they are told by their first characters.
  if (/^\s*\.\s+\.\s/.test(line)) {
    noteRowClues(clues, line);
    return false;
  }
  if (/^\s*\.\s/.test(line)) {
    clues.original += 1;
    if (inWords.test(line)) clues.in += 1;
    else if (outWords.test(line)) clues.out += 1;
    return false;
  }
  let banner = false;
  for (const { pattern, points } of clueTable) {
    if (!pattern.test(line)) continue;
    for (const name of Object.keys(points) as (keyof KindClues)[]) clues[name] += points[name] ?? 0;
    banner ||= pattern.source.includes('Release') && !/^\s*RMAN>/.test(line);
  }
  return banner;
}

function noteRowClues(clues: KindClues, line: string): void {
  if (/"[^"]+"\."[^"]+"/.test(line)) clues.pump += 2;
  else clues.original += 2;
  if (inWords.test(line)) clues.in += 2;
  else if (outWords.test(line)) clues.out += 2;
}

/** The tool that wrote the log; null when nothing of any of them was seen. */
export function findJobLogKind(clues: KindClues): JobLogKind | null {
  const transfer = clues.pump + clues.original + clues.exp + clues.imp + clues.out + clues.in;
  if (clues.rman > 0 && clues.rman >= transfer) return 'rman';
  if (transfer === 0) return null;
  if (clues.exp > 0 || clues.imp > 0) {
    // EXP- and IMP- codes belong to one tool each.
    return clues.exp >= clues.imp ? 'exp' : 'imp';
  }
  if (clues.original > clues.pump) return clues.in > clues.out ? 'imp' : 'exp';
  return clues.in > clues.out ? 'impdp' : 'expdp';
}
