import type { SiteStatus, ReleaseStatus } from '../pipeline/status.ts';
import { toClonaError } from '../errors.ts';
import type { SiteCost } from '../machines/vsphere/costs.ts';
import { gateToJson, showGate } from './show-gate.ts';
import { openVerbContext } from './site-context.ts';
import type { Verb, VerbContext } from './verb.ts';

export const verb: Verb = {
  configure: () => {},
  examples: ['clona status', 'clona status --json'],
  exits: { 6: 'the control database does not answer' },
  run: async (context) => {
    const { readStatus } = await import('../pipeline/status.ts');
    await using site = await openVerbContext(context);
    const [status, costs] = await Promise.all([readStatus(site), lookAtCosts(context)]);
    const releases = status.releases.map((release) => ({ ...release, gate: gateToJson(release.gate) }));
    return { json: { ...status, releases, ...costs }, human: showStatus(status, costs) };
  },
};

interface Costs {
  /** What the staging machines of each site take of vSphere; null: another platform, or it does not answer. */
  costs: SiteCost[] | null;
  costsUnknown: string | null;
}

const costPatienceMs = 10_000;

/** Status is for the bad day, too: a vCenter that does not answer is said, and the rest is shown. */
async function lookAtCosts({ sitePath, signal }: VerbContext): Promise<Costs> {
  const { loadSite } = await import('../site/load.ts');
  const site = await loadSite(sitePath);
  if (site.machines.platform === 'local') return { costs: null, costsUnknown: null };
  const { readCosts } = await import('../pipeline/staging-machines.ts');
  const patience = AbortSignal.timeout(costPatienceMs);
  try {
    return { costs: await readCosts(site, AbortSignal.any([signal, patience])), costsUnknown: null };
  } catch (error) {
    signal.throwIfAborted();
    if (patience.aborted) return { costs: null, costsUnknown: 'the vCenter does not answer' };
    return { costs: null, costsUnknown: toClonaError(error).message };
  }
}

function showCosts({ costs, costsUnknown }: Costs): string[] {
  if (costsUnknown !== null) return [`✖ what staging costs is not known: ${costsUnknown}`];
  if (costs === null) return [];
  if (costs.length === 0) return ['no staging machine on vSphere'];
  return costs.map(({ site, machines, cpus, memoryMb, diskBytes }) => {
    const name = site === '' ? 'of no site' : site;
    return `staging machines of ${name}: ${machines}, ${cpus} CPUs, ${memoryMb} MiB, ${(diskBytes / 2 ** 30).toFixed(1)} GiB of disk`;
  });
}

function showStatus(status: SiteStatus, costs: Costs): string {
  const { running, interrupted, staging, releases, archive, evidence } = status;
  const lines = [
    running === null
      ? 'nothing runs'
      : `${running.what} of ${running.who} runs (process ${running.pid} on ${running.host}, since ${running.since})`,
    ...interrupted.map(({ id, name }) => `${name} ${id} was interrupted: the next ${name} carries it on`),
    ...showStopped(status.stopped),
    ...staging.map(showStaging),
    ...showCosts(costs),
    ...(releases.length === 0 ? ['no release is open'] : releases.map(showRelease)),
    archive.newestProven === null
      ? 'no backup was proven yet: clona refresh'
      : `newest proven backup: ${archive.newestProven.backup}, grade ${archive.newestProven.grade}, ${archive.newestProven.provenAt}`,
    `RPO: ${seconds(archive.rpoSeconds)}; RTO: ${seconds(archive.rtoSeconds)} (the newest restore)`,
    ...showStreams(archive),
    ...archive.leftSlots.map(({ name, keptBytes }) => {
      const kept = keptBytes === null ? 'is lost' : `keeps ${(keptBytes / 2 ** 20).toFixed(0)} MiB of log`;
      return `✖ the slot ${name} of a receiver that is switched off ${kept} on production: clona serve --drop-slots`;
    }),
    ...showSpool(archive.spool),
    `evidence: ${evidence.records} records`,
    ...Object.entries(evidence.lateCopies).map(
      ([path, why]) => `✖ the head of the evidence could not be copied to ${path}: ${why}`,
    ),
  ];
  return lines.join('\n');
}

function showStaging({ machine, id, outcome, grade, heldBy }: SiteStatus['staging'][number]): string {
  const proven = grade === null ? '' : `, grade ${grade}`;
  return `${machine ?? 'staging'}: ${id} ${outcome}${proven}${heldBy === null ? '' : `, held by release ${heldBy}`}`;
}

function showRelease({ id, kit, state, initiator, words, gate }: ReleaseStatus): string {
  const said = words.map(({ department, word, standing, comment }) => {
    const why = standing.state === 'counts' ? '' : ` (does not count: ${standing.reason})`;
    return `  ${word === 'confirm' ? '✔' : '✖'} ${department}: ${standing.shown}${comment === null ? '' : `, "${comment}"`}${why}`;
  });
  return [`release ${id} of ${kit}, started by ${initiator}: ${state}`, ...said, showGate(gate)].join('\n');
}

function showStopped(stopped: SiteStatus['stopped']): string[] {
  if (stopped === null) return [];
  const { label, dataDir, at, isWorking } = stopped;
  return isWorking
    ? [`LIVE is stopped for the cold backup ${label} since ${at}`]
    : [
        `✖ the cold backup ${label} was killed and may have left the database in ${dataDir} stopped: clona backup starts it again`,
      ];
}

function showStreams({ streams, loseAtMostSeconds }: SiteStatus['archive']): string[] {
  if (loseAtMostSeconds === null) return [];
  const behind = streams.map(({ destination, behindBytes, loseAtMostSeconds: bound }) => {
    const distance = behindBytes === null ? 'LIVE does not answer' : `${behindBytes} bytes behind`;
    return `${destination} ${bound.toFixed(1)} s, ${distance}`;
  });
  const bound = Math.ceil(loseAtMostSeconds);
  return [`LIVE and its log gone now: you would lose at most ${bound} s (${behind.join('; ')})`];
}

function showSpool(spool: SiteStatus['archive']['spool']): string[] {
  if (spool === null || spool.files === 0) return [];
  const { files, bytes, oldestAt, verdict, folder } = spool;
  const said = `${files} files of log (${(bytes / 2 ** 20).toFixed(0)} MiB) wait in ${folder} since ${oldestAt}`;
  return [verdict === 'flows' ? said : `✖ ${said}: archive and mirror do not have them (clona doctor)`];
}

function seconds(value: number | null): string {
  return value === null ? 'not known' : `${value.toFixed(1)} s`;
}
