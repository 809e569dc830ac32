import type { PlanAnswer } from './answer.ts';
import type { Catalog } from './catalog.ts';
import type { IncarnationLine } from './incarnations.ts';
import { showPosition, type Position } from './position.ts';
import { layTable } from './table.ts';

/** People read the first ones; `--json` has them all. */
const shownRejections = 20;

/** What `clona plan` prints: answer, numbered steps, why this backup and why not the others, what is lost. */
export function explainPlan(
  catalog: Pick<Catalog, 'engine' | 'currentIncarnation'>,
  answer: PlanAnswer,
): string {
  const show = (position: Position | null): string =>
    position === null ? 'unknown' : showPosition(catalog.engine, position);
  return [
    ...explainTarget(catalog, answer, show),
    '',
    answer.reachable ? 'Steps' : 'What is left',
    ...answer.steps.map((step, index) => `${String(index + 1).padStart(3)}. ${step}`),
    ...section(
      'Chosen',
      answer.chosenBecause.map((reason) => describeChosen(answer, reason)),
    ),
    ...section(answer.reachable ? 'Not chosen' : 'Why no backup serves', explainRejections(answer)),
    ...section('Not recoverable, changed without redo since the backup', explainChanges(answer, show)),
    ...section(
      'Mind',
      answer.warnings.map((warning) => `  ! ${warning}`),
    ),
  ].join('\n');
}

function describeChosen({ backup }: PlanAnswer, reason: string): string {
  return backup === null ? `  ${reason}` : `  ${backup}: ${reason}`;
}

function explainTarget(
  { currentIncarnation }: Pick<Catalog, 'currentIncarnation'>,
  answer: PlanAnswer,
  show: (position: Position | null) => string,
): string[] {
  const { target, reachable, nearest, redoFrom, redoTo } = answer;
  const current = target.incarnation === currentIncarnation ? ' (CURRENT)' : '';
  const lines = [
    `Target      incarnation ${target.incarnation}${current}, all changes below position ${show(target.until)}`,
    `Path       ${answer.path}`,
  ];
  if (!reachable) {
    lines.push(
      'Reachable   no',
      `Nearest     below: ${showNear(nearest.below)}, above: ${showNear(nearest.above)}`,
    );
    return lines;
  }
  lines.push('Reachable   yes');
  if (redoFrom !== null && redoTo !== null) {
    const online = answer.usesOnlineLog ? ' and the online log' : '';
    const plural = answer.logs.length === 1 ? 'log' : 'logs';
    lines.push(
      `Redo        ${show(redoFrom)} to ${show(redoTo)}: ${redoTo - redoFrom} positions, ${answer.logs.length} archived ${plural}${online}`,
    );
  }
  lines.push(`Loss        ${explainLoss(answer.loss)}`);
  lines.push(`Afterwards  ${answer.opensNewIncarnation ? 'a new incarnation' : 'the same incarnation'}`);
  return lines;

  function showNear(position: Position | null): string {
    return position === null ? 'nothing' : show(position);
  }
}

function explainLoss({ positions, from, to }: PlanAnswer['loss']): string {
  // A reachable target always says how many.
  if (positions === null || positions === 0n) return 'nothing that the known log holds';
  const times =
    from !== null && to !== null ? `, ${from} to ${to} (${showSpan(Date.parse(to) - Date.parse(from))})` : '';
  return `${positions} positions${times}`;
}

/** The two largest units. */
export function showSpan(milliseconds: number): string {
  const seconds = Math.max(0, Math.round(milliseconds / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'min'],
    [seconds % 60, 's'],
  ] as const;
  const first = parts.findIndex(([count]) => count > 0);
  if (first < 0) return '0 s';
  return parts
    .slice(first, first + 2)
    .filter(([count]) => count > 0)
    .map(([count, unit]) => `${count} ${unit}`)
    .join(' ');
}

function explainRejections({ rejected }: PlanAnswer): string[] {
  const lines: string[] = [];
  for (const { backup, reasons } of rejected.slice(0, shownRejections)) {
    for (const [index, reason] of reasons.entries())
      lines.push(`  ${index === 0 ? `${backup}: ` : '    '}${reason}`);
  }
  const more = rejected.length - shownRejections;
  if (more > 0) lines.push(`  … and ${more} more (--json has them all)`);
  return lines;
}

function explainChanges(
  { changesWithoutRedo }: PlanAnswer,
  show: (position: Position | null) => string,
): string[] {
  return changesWithoutRedo.map(({ object, how, position }) => {
    const when = position === null ? 'at any time' : `at ${show(position)}`;
    return `  ! ${object}: ${how}, ${when}`;
  });
}

function section(title: string, lines: readonly string[]): string[] {
  return lines.length === 0 ? [] : ['', title, ...lines];
}

/** The table of DOMAIN.md's worked example. */
export function explainIncarnations(engine: Catalog['engine'], lines: readonly IncarnationLine[]): string {
  return layTable(
    [
      ['incarnation', 'prior', 'branch position', 'opened', 'status', 'path'],
      ...lines.map(({ id, prior, branchPosition, openedAt, status, path }) => [
        String(id),
        String(prior),
        showPosition(engine, branchPosition),
        openedAt ?? '',
        status,
        path.trimStart(),
      ]),
    ],
    [0, 1, 2],
  ).join('\n');
}
