import type { AcknowledgedGap, LogGap } from '../proof/due.ts';
import { ClonaError } from '../errors.ts';
import type { Catalog } from '../recovery/catalog.ts';
import type { OracleSite } from './read-catalog.ts';
import type { OptionValues, Verb, VerbContext, VerbResult } from './verb.ts';

export const verb: Verb = {
  configure: (command) =>
    command
      .option(
        '--archive <dir>',
        "the folder of an archive: no site and no server is needed; default: the site's",
      )
      .option('--mirror <dir>', 'its mirror: what is damaged or missing in one is taken from the other')
      .option('--add-export <log>', 'engine oracle: take an export in, by the log of expdp or exp')
      .option('--dump <file...>', 'with --add-export: dump files that its log does not name')
      .option('--label <name>', 'with --add-export: its name; default: job and time')
      .option('--repair', 'with --archive: make lost or damaged small files of it again, with --yes', false)
      .option('--offline', "do not ask the site's production server which incarnation is current", false),
  examples: [
    'clona catalog',
    'clona catalog --archive /archive/erp',
    'clona catalog --archive /archive/erp --mirror /mirror/erp --json > erp.json && clona plan --catalog erp.json',
    'clona catalog --archive /archive/erp --repair --yes',
    'clona catalog --add-export /backup/expdp_erp.log    # engine oracle',
  ],
  exits: {
    4: 'the archive is damaged or belongs to another database; the export that was to be added did not end well',
    5: 'there is no archive',
    6: 'a disk failed',
  },
  changesNothing: (options) => options['addExport'] === undefined && options['repair'] !== true,
  run: async (context, options) => {
    if (options['repair'] === true) {
      const { repairArchive } = await import('./catalog-repair.ts');
      await repairArchive(context, options);
    }
    const { readArchiveCatalog, readOracleSite } = await import('./read-catalog.ts');
    if (typeof options['archive'] === 'string' || (await isFile(context.sitePath))) {
      const oracle = await readOracleSite(context, options);
      if (oracle !== undefined)
        return showOracle(context, options, await withExport(context, options, oracle));
    }
    if (options['addExport'] !== undefined) {
      throw new ClonaError('usage', '--add-export is for sites with engine oracle');
    }
    const { describeCatalog } = await import('../databases/postgres/catalog-summary.ts');
    const { catalogToJson } = await import('../recovery/catalog-json.ts');
    const { describePlaces } = await import('../databases/postgres/catalog-places.ts');
    const { catalog, header, folders, ...found } = await readArchiveCatalog(context, options);
    const { said, missing } = describePlaces(folders);
    const warnings = [...found.warnings, ...missing];
    const acknowledged = await readAcknowledgedGaps(context, options);
    if (context.json) for (const line of warnings) context.note(`warning: ${line}`);
    return {
      json: { ...catalogToJson(catalog), ...(await judge(catalog, acknowledged)), warnings },
      human: [describeCatalog(catalog, header.segmentSizeBytes, warnings, acknowledged), ...said].join('\n'),
    };
  },
};

async function withExport(
  context: VerbContext,
  options: OptionValues,
  oracle: OracleSite,
): Promise<OracleSite> {
  const log = options['addExport'];
  if (typeof log !== 'string') return oracle;
  const { addExport } = await import('./catalog-oracle-export.ts');
  const { readOracleSite } = await import('./read-catalog.ts');
  const label = await addExport(context, options, oracle, log);
  context.note(`export ${label} is part of the catalog`);
  return (await readOracleSite(context, options)) ?? oracle;
}

async function isFile(path: string): Promise<boolean> {
  const { stat } = await import('node:fs/promises');
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  );
}

/** What was read of the control file is remembered in the archive, which is all that is left on a bad day. */
async function showOracle(
  context: VerbContext,
  options: OptionValues,
  { site, places, ...known }: OracleSite,
): Promise<VerbResult> {
  const { addFoundArchives } = await import('../databases/oracle/archives/look.ts');
  const { rememberOracle } = await import('../databases/oracle/site-catalog.ts');
  const { describeOracleCatalog } = await import('../databases/oracle/catalog-summary.ts');
  const { catalogToJson } = await import('../recovery/catalog-json.ts');
  const { oracle } = site?.database ?? {};
  const folders = oracle?.archives ?? [
    places.archiveDir,
    ...(oracle?.import === undefined ? [] : [oracle.import.folder]),
  ];
  const found = await addFoundArchives(known, folders, context.signal);
  const warnings = [...found.warnings];
  if (site !== undefined && options['offline'] !== true && found.readAt !== undefined) {
    await rememberOracle(found, places, found.readAt).catch((error: unknown) => {
      warnings.push(`it was not remembered: ${error instanceof Error ? error.message : String(error)}`);
    });
  }
  if (context.json) for (const line of warnings) context.note(`warning: ${line}`);
  const { passedOver } = found;
  const json = { ...catalogToJson(found.catalog), ...(await judge(found.catalog, [])), passedOver, warnings };
  return { json, human: describeOracleCatalog(found.catalog, warnings) };
}

/** What a catalog file has beside its records, and its readers pass over: reach and gaps. */
async function judge(
  catalog: Catalog,
  acknowledged: readonly AcknowledgedGap[],
): Promise<Record<string, unknown>> {
  const { findGaps } = await import('../recovery/gaps.ts');
  const { readReach, reachToJson } = await import('../recovery/reach.ts');
  const { withAcknowledgements } = await import('../proof/due.ts');
  const gaps = withAcknowledgements(findGaps(catalog), acknowledged);
  return { reach: reachToJson(readReach(catalog)), gaps: gaps.map(gapToJson) };
}

function gapToJson({ from, to, acknowledged, ...gap }: LogGap): Record<string, unknown> {
  const { by, at, why } = acknowledged ?? {};
  return {
    ...gap,
    from: String(from),
    to: String(to),
    acknowledged: acknowledged === null ? null : { by, at, why },
  };
}

/** From the site's evidence, where there is any; a catalog is read on bad days, too, when the evidence cannot be. */
async function readAcknowledgedGaps(
  { sitePath, signal, note }: VerbContext,
  options: OptionValues,
): Promise<AcknowledgedGap[]> {
  if (typeof options['archive'] === 'string' || options['offline'] === true) return [];
  const { stat } = await import('node:fs/promises');
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(sitePath);
  const isNew = site.control.url === undefined && !(await stat(site.control.directory).catch(() => false));
  if (isNew) return [];
  const { openSite } = await import('../pipeline/open-site.ts');
  const { readAcknowledged } = await import('../pipeline/prove-due.ts');
  try {
    await using opened = await openSite(sitePath, signal);
    return await readAcknowledged(opened.ledger);
  } catch (error) {
    signal.throwIfAborted();
    note(
      `warning: the evidence does not say which gaps are acknowledged: ${error instanceof Error ? error.message : String(error)}`,
    );
    return [];
  }
}
