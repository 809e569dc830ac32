import type { ArchiveProof } from '../databases/postgres/prove/prove-archive.ts';
import { ClonaError } from '../errors.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) => {
    command
      .option('--archive <dir>', 'prove from the folder of an archive alone, without a site')
      .option('--mirror <dir>', 'with --archive: its mirror; of each log file one whole copy suffices')
      .option('--backup <label>', 'this backup; default: the newest (with --archive), or whatever is due')
      .option('--grade <number>', 'with --archive: 1 checksums, 2 the log as well; default 2')
      .option('--workers <count>', 'with --archive: threads that check')
      .option(
        '--import',
        'Oracle: import the newest export into the CLONA schema, and hold it against its log (grade 4)',
      )
      .option('--acknowledge <from..to>', 'put on record that a gap of the log was looked at and may stay')
      .option(
        '--incarnation <number>',
        'with --acknowledge: the incarnation of the gap, where several have one there',
      )
      .option('--why <text>', 'with --acknowledge: the reason')
      .option(
        '--as <name>',
        'who proves or acknowledges, for the evidence; default: the account that runs clona',
      )
      .option('--job-log <file>', 'judge the log of expdp, impdp, exp, imp or RMAN from its whole text')
      .option('--accept <verdict>', 'with --job-log: "warning" ends with exit code 0 as well');
  },
  examples: [
    'clona prove                                         # what is due of the site, up to grade 2; refresh does the rest',
    'clona prove --archive /archive/erp --mirror /mirror/erp --json',
    'clona prove --archive /archive/erp --backup nightly-7 --grade 1',
    'clona prove --import --json                         # Oracle: grade 4 of the newest export',
    'clona prove --acknowledge 50331648..67108864 --why "disk of the log replaced"',
    'clona prove --job-log expdp_erp.log --json',
  ],
  exits: {
    4: 'the proof failed, or the job log is not ok',
    5: 'there is no archive, or no such backup in it',
    6: 'a disk failed',
    7: 'another run has the site',
  },
  changesNothing: (options) => options['jobLog'] !== undefined,
  run: async (context, options) => {
    checkOptions(options);
    const [jobLog, archive] = [readText(options['jobLog']), readText(options['archive'])];
    if (jobLog !== undefined) return proveJobLog(context, options, jobLog);
    if (archive !== undefined) return proveAlone(context, options, archive);
    if (options['import'] === true) return proveByImport(context, options);
    if (options['acknowledge'] !== undefined) return acknowledge(context, options);
    const { stat } = await import('node:fs/promises');
    if (await stat(context.sitePath).catch(() => undefined)) {
      const { loadSite } = await import('../site/load.ts');
      const site = await loadSite(context.sitePath);
      if (site.database.engine === 'oracle') {
        const { proveOracle } = await import('./prove-oracle.ts');
        return proveOracle(context, options, site);
      }
    }
    return proveSite(context, options);
  },
};

const alone = ['mirror', 'grade', 'workers'] as const;

function checkOptions(options: OptionValues): void {
  const { accept, jobLog, archive, acknowledge, why } = options;
  if (accept !== undefined && accept !== 'warning') throw usage('--accept takes "warning", nothing else');
  if (accept !== undefined && jobLog === undefined) throw usage('--accept goes with --job-log');
  if (jobLog !== undefined && (archive !== undefined || acknowledge !== undefined))
    throw usage('--job-log goes alone');
  const others = [jobLog, archive, acknowledge, options['backup']];
  if (options['import'] === true && others.some((other) => other !== undefined))
    throw usage('--import goes alone');
  if (archive !== undefined && acknowledge !== undefined)
    throw usage('--acknowledge needs the site: its evidence holds the word');
  if (acknowledge !== undefined && (typeof why !== 'string' || why.trim() === ''))
    throw usage('--acknowledge needs --why TEXT');
  for (const name of alone) {
    if (options[name] !== undefined && archive === undefined) throw usage(`--${name} goes with --archive`);
  }
}

async function proveJobLog(context: VerbContext, options: OptionValues, path: string): Promise<VerbResult> {
  const { readJobLog, describeJobLog } = await import('./prove-job-log.ts');
  const judgement = await readJobLog(path, context.signal);
  const accepted =
    judgement.verdict === 'ok' || (judgement.verdict === 'warning' && options['accept'] === 'warning');
  return { json: judgement, human: describeJobLog(judgement), exitCode: accepted ? 0 : 4 };
}

async function proveAlone(
  context: VerbContext,
  options: OptionValues,
  archiveDir: string,
): Promise<VerbResult> {
  const { proveFromArchive, rememberArchiveProof } =
    await import('../databases/postgres/prove/prove-archive.ts');
  const { asAbsent } = await import('../databases/postgres/catalog.ts');
  const { describeArchiveProof, newestLabel } = await import('./prove-archive.ts');
  const { signal, onProgress, note } = context;
  const grade = readNumber(options['grade'], '--grade', 1, 2) ?? 2;
  const workers = readNumber(options['workers'], '--workers', 1, 64);
  const prove = async (): Promise<ArchiveProof> =>
    proveFromArchive({
      archiveDir,
      mirrorDir: readText(options['mirror']),
      label: readText(options['backup']) ?? (await newestLabel(archiveDir)),
      grade: grade === 1 ? 1 : 2,
      workers,
      signal,
      onProgress,
    });
  const proof = await prove().catch((error: unknown) => {
    throw asAbsent(error);
  });
  // An archive that may only be read is proven all the same.
  await rememberArchiveProof(archiveDir, proof, 'clona prove --archive', new Date()).catch((error: unknown) =>
    note(`the grade is not remembered: ${error instanceof Error ? error.message : String(error)}`),
  );
  return { json: proof, human: describeArchiveProof(proof), exitCode: proof.passed ? 0 : 4 };
}

async function proveSite(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { proveDue } = await import('../pipeline/prove-due.ts');
  const { describeDue, dueToJson } = await import('./prove-archive.ts');
  await using opened = await openSite(context.sitePath, context.signal);
  const { signal, onProgress } = context;
  const by = readText(options['as']) ?? accountName();
  const due = await proveDue(opened, { by, label: readText(options['backup']), signal, onProgress });
  const passed = due.proofs.every((proof) => proof.passed);
  return { json: dueToJson(due), human: describeDue(due), exitCode: passed ? 0 : 4 };
}

async function proveByImport(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { proveImport } = await import('../pipeline/prove-import.ts');
  const { describeImport } = await import('./prove-import.ts');
  await using opened = await openSite(context.sitePath, context.signal);
  const { signal, onProgress } = context;
  const proven = await proveImport(opened, {
    by: readText(options['as']) ?? accountName(),
    signal,
    onProgress,
  });
  return { json: proven, human: describeImport(proven), exitCode: proven.report.passed ? 0 : 4 };
}

async function acknowledge(context: VerbContext, options: OptionValues): Promise<VerbResult> {
  const { accountName, openSite } = await import('../pipeline/open-site.ts');
  const { acknowledgeGap, findGapBetween } = await import('../pipeline/prove-due.ts');
  const { from, to } =
    /^(?<from>\d{1,20})\.\.(?<to>\d{1,20})$/.exec(readText(options['acknowledge']) ?? '')?.groups ?? {};
  if (from === undefined || to === undefined || BigInt(from) >= BigInt(to)) {
    throw usage('--acknowledge takes the two positions of a gap, as prove shows them: FROM..TO');
  }
  await using opened = await openSite(context.sitePath, context.signal);
  const wanted = {
    from: BigInt(from),
    to: BigInt(to),
    incarnation: readNumber(options['incarnation'], '--incarnation', 1, 2 ** 32 - 1),
  };
  const { incarnation } = await findGapBetween(opened, wanted, context.signal);
  const gap = {
    incarnation,
    from,
    to,
    by: readText(options['as']) ?? accountName(),
    why: readText(options['why']) ?? '',
  };
  await acknowledgeGap(opened, gap, new Date());
  return {
    json: { acknowledged: gap },
    human: `on record: the gap from ${from} to ${to} may stay, says ${gap.by}: ${gap.why}`,
  };
}

function readText(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

function readNumber(value: unknown, name: string, lowest: number, highest: number): number | undefined {
  const text = readText(value);
  if (text === undefined) return undefined;
  const number = Number(text);
  if (!/^\d+$/.test(text) || number < lowest || number > highest) {
    throw usage(`${name} takes a number from ${lowest} to ${highest}, not "${text.slice(0, 40)}"`);
  }
  return number;
}

function usage(message: string): ClonaError {
  return new ClonaError('usage', message, { hint: 'see: clona prove --help' });
}
