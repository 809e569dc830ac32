import type { Reason } from './reasons.ts';
import { scoreOf, tally, type FileResult, type Survivor } from './results.ts';

/** The tables of docs/mutation.md: scores by folder and file, then every survivor with its reason. */
export function layTables(
  measured: readonly FileResult[],
  explained: readonly { survivor: Survivor; reason: Reason | undefined }[],
): string {
  const byFolder = Map.groupBy(measured, ({ file }) => file.split('/').slice(0, 2).join('/'));
  const scores = [...byFolder].flatMap(([folder, results]) => [
    scoreRow(`**${folder}**`, results),
    ...results.map((result) => scoreRow(result.file.slice(folder.length + 1), [result])),
  ]);
  const byFile = Map.groupBy(explained, ({ survivor }) => survivor.file);
  return [
    '## Scores',
    '',
    '| file | score | noticed | not noticed | measured |',
    '|---|---|---|---|---|',
    ...scores,
    '',
    '## Survivors',
    ...[...byFile].flatMap(([file, list]) => survivorTable(file, list)),
    '',
  ].join('\n');
}

function scoreRow(name: string, results: readonly FileResult[]): string {
  const total = tally(results.flatMap(({ mutants }) => mutants));
  const dates = results.map(({ measuredAt }) => measuredAt.slice(0, 10)).sort();
  const { detected, undetected } = total;
  return `| ${name} | ${scoreOf(total).toFixed(1)} % | ${detected} | ${undetected} | ${dates[0] ?? ''} |`;
}

function survivorTable(
  file: string,
  list: readonly { survivor: Survivor; reason: Reason | undefined }[],
): string[] {
  return [
    '',
    `### ${file}`,
    '',
    '| line | mutator | code | becomes | why nobody can notice |',
    '|---|---|---|---|---|',
    ...list.map(
      ({ survivor: { line, mutator, code, becomes }, reason }) =>
        `| ${line} | ${mutator} | ${cell(code)} | ${cell(becomes)} | ${reason?.why.trim() ?? '**no reason yet**'} |`,
    ),
  ];
}

function cell(code: string): string {
  const text = code.replaceAll('|', '\\|');
  return text.includes('`') ? `\`\` ${text} \`\`` : `\`${text}\``;
}
