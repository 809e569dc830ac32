import type { PlanAnswer } from './answer.ts';
import type { Backup, Catalog } from './catalog.ts';
import { showInstant } from './instant.ts';
import { statusOf, tracePath } from './lineage.ts';
import { showPosition, type Position } from './position.ts';
import type { Question } from './question.ts';
import { showGrade } from './reasons.ts';
import type { Search } from './search.ts';
import { isRunning, type WholeBackup } from './serve.ts';

/** An answer whose steps are still to be written. */
type Stepless = Omit<PlanAnswer, 'steps'>;

/** Why this backup, in sentences. */
export function describeChoice(chosen: WholeBackup, until: Position, serving: number): string[] {
  const redo = until - chosen.start;
  const among = serving === 1 ? 'it is the only one that serves' : `of ${serving} that serve it is the best`;
  const alone = chosen.start === until ? 'it needs no redo at all' : `it needs ${redo} positions of redo`;
  return [`${among}: ${alone}, ${showGrade(chosen)}, finished ${chosen.finishedAt}`];
}

/** What a reader must know beside the steps. */
export function warnOf({ question, catalog }: Search, chosen: Backup, until: Position): string[] {
  const warnings: string[] = [];
  if (chosen.consistent === false) {
    warnings.push(
      `${chosen.label} was made without a consistent position: its rows may be of different moments`,
    );
  }
  if (question.until.kind === 'time') {
    const at = showInstant(question.until.instantMs);
    warnings.push(
      `${at} is position ${showPosition(catalog.engine, until)} only by interpolation within a log, rounded down; the restore hands the time itself to the server, which resolves it by commit records`,
    );
  }
  return warnings;
}

/** The plan in words, numbered by whoever prints it. */
export function describeSteps(
  search: Search,
  answer: Stepless,
  chosen: WholeBackup,
  until: Position,
): string[] {
  return [
    ...keepWhatIsLeft(search.question),
    ...describeReset(search, answer),
    describeRestore(chosen),
    ...describeLogs(answer, chosen),
    describeRecovery(search, answer, chosen, until),
    ...describeRollback(search.catalog, chosen, until),
    ...describeOpening(search.catalog, answer),
  ];
}

/** What to do with an export. */
export function describeImport({ label, device, requires = [] }: Backup): string[] {
  const chain = requires.length === 0 ? '' : ` (with ${requires.join(', ')})`;
  return [
    'create an empty database, or the schemas that are to be filled',
    `import export ${label}${chain} from ${device ?? 'its device'}, and judge the job by its log`,
    'no redo can be applied to an import: what came after the export is not in it',
  ];
}

function keepWhatIsLeft({ lost, logOnly }: Question): string[] {
  if (logOnly !== undefined) {
    return [
      'the datafiles crashed without their log: they never agree with each other; copy them aside and restore',
    ];
  }
  if (lost === 'database')
    return ['copy the online log aside before anything is overwritten: it is the only copy'];
  return [];
}

function describeReset({ catalog, lineage }: Search, answer: Stepless): string[] {
  const id = answer.resetDatabaseToIncarnation;
  if (id === null) return [];
  const status = statusOf(tracePath(lineage, catalog.currentIncarnation), id);
  const how =
    catalog.engine === 'oracle'
      ? `RESET DATABASE TO INCARNATION ${id}`
      : `recovery_target_timeline = '${id}'`;
  return [
    `${how}: the target lies on incarnation ${id}, ${status === 'ORPHAN' ? 'an ORPHAN' : 'a PARENT'} of the path${answer.path}`,
  ];
}

function describeRestore({ label, kind, incarnation, device, requires = [], ownLog }: Backup): string {
  const chain = requires.length === 0 ? '' : `, after what it stands on: ${requires.join(', ')}`;
  const own = ownLog ? ', with the log it carries' : '';
  return `restore ${kind} backup ${label} of incarnation ${incarnation} from ${device ?? 'its device'}${chain}${own}`;
}

function describeLogs({ logs, usesOnlineLog }: Stepless, chosen: Backup): string[] {
  const online = usesOnlineLog ? ['put the online log of the CURRENT incarnation beside them'] : [];
  if (logs.length === 0) {
    if (usesOnlineLog) return ['no archived log is needed, only the online log of the CURRENT incarnation'];
    return [
      chosen.ownLog ? 'no archived log is needed' : 'no log is needed: the files agree with each other',
    ];
  }
  const names = logs
    .slice(0, 6)
    .map(({ incarnation, thread, sequence }) => `${incarnation}/${thread}/${sequence}`);
  const more = logs.length > names.length ? ` and ${logs.length - names.length} more` : '';
  const plural = logs.length === 1 ? 'archived log' : 'archived logs';
  return [
    `have ${logs.length} ${plural} at hand (incarnation/thread/sequence): ${names.join(', ')}${more}`,
    ...online,
  ];
}

function describeRecovery(
  { catalog, question }: Search,
  answer: Stepless,
  { start, consistentFrom }: WholeBackup,
  until: Position,
): string {
  const show = (position: Position): string => showPosition(catalog.engine, position);
  if (start === until) return `apply nothing: the state at ${show(until)} is what the files hold`;
  const range = `apply redo from ${show(start)} up to, not including, ${show(until)}`;
  if (catalog.engine === 'oracle') {
    const how = answer.opensNewIncarnation
      ? `RECOVER DATABASE UNTIL SCN ${until}`
      : 'RECOVER DATABASE, to the end of the log';
    return `${range}: ${how}`;
  }
  if (question.until.kind === 'time') {
    return `${range}: recovery_target_time = '${showInstant(question.until.instantMs)}', recovery_target_inclusive = off`;
  }
  if (until === consistentFrom)
    return `${range}: recovery_target = 'immediate', the end of the backup itself`;
  if (answer.loss.positions === 0n)
    return `${range}: no recovery target at all, since it is the end of the log`;
  return `${range}: recovery_target_lsn = '${show(until)}', recovery_target_inclusive = off`;
}

function describeRollback({ engine }: Catalog, { start }: WholeBackup, until: Position): string[] {
  if (start === until) return [];
  return [
    `roll back what has no end of transaction below ${showPosition(engine, until)}; the server does it by itself`,
  ];
}

function describeOpening({ engine }: Catalog, { opensNewIncarnation, target }: Stepless): string[] {
  if (!opensNewIncarnation) {
    return [
      'ALTER DATABASE OPEN: the whole log was applied, the incarnation stays (with a backup control file Oracle opens RESETLOGS even so)',
    ];
  }
  const open = engine === 'oracle' ? 'ALTER DATABASE OPEN RESETLOGS' : 'end recovery (promote)';
  const control =
    engine === 'oracle'
      ? '; with a backup control file it is RESETLOGS in any case'
      : '; archive recovery always ends so';
  return [
    `${open}: opens a new incarnation with parent ${target.incarnation}${control}`,
    'read its branch position back from the server: it can lie a record after the target',
    'take a backup of the new incarnation at once, and keep the abandoned logs until it is proven',
  ];
}

/** R9 and R7: what can still be done when the target cannot be reached. */
export function describeUnreachable(catalog: Catalog, question: Question, answer: Stepless): string[] {
  const { below, above } = answer.nearest;
  const steps: string[] = [];
  if (below !== null) steps.push(`reachable instead, the nearest before it: --until position:${below}`);
  if (above !== null) steps.push(`reachable instead, the nearest after it: --until position:${above}`);
  const { until } = question;
  if (until.kind === 'incarnation' && steps.length > 0) {
    return steps.map((step) => step.replace('position:', `incarnation:${until.incarnation}@`));
  }
  const exports = catalog.backups.filter(
    (backup) => backup.kind === 'export' && backup.state === 'available' && !isRunning(backup),
  );
  for (const { label, finishedAt, consistent } of exports.slice(0, 3)) {
    const doubt = consistent === false ? ', made without a consistent position' : '';
    steps.push(
      `better than nothing: import the export ${label} of ${finishedAt}${doubt} (--until backup:${label})`,
    );
  }
  if (steps.length === 0) {
    steps.push('nothing in this catalog helps: look for logs, copies and exports that it does not know');
  }
  return steps;
}
