import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { fetchKit, openKit, readKeyFile } from '../../kit/fetch.ts';
import { checkKit, type Kit } from '../../kit/check.ts';
import { hashKit } from '../../kit/hash.ts';
import { applyKit, type ApplyKitOptions } from '../../kit/apply/apply.ts';
import { hashProcedure, planSteps, type KitStepRecord } from '../../kit/apply/record.ts';
import { resolveSecret } from '../../site/secret.ts';
import type { Site } from '../../site/site.ts';
import { findSmokeFiles } from '../../smoke/files.ts';
import { failedNames } from '../../smoke/report.ts';
import { runSmoke } from '../../smoke/run.ts';
import type { CurrentHashes, KitApplied, KitFound, KitSource, SmokeRun, Step } from '../operations.ts';
import { smokeMachineOf } from '../smoke-machine.ts';
import { toJson } from '../step.ts';
import { withGuest, type MachineAccess } from './access.ts';

/** Brings the kit into `.clona/kits/<release>`, where LIVE will take it from, byte for byte. */
export async function keepKit(site: Site, { source, hash }: KitSource, step: Step): Promise<KitFound> {
  const { kit } = site;
  const into = kitFolder(site, step.key);
  const found = await fetchKit({
    source,
    expectedHash: hash ?? undefined,
    publicKey: kit.publicKey === undefined ? undefined : await readKeyFile(kit.publicKey),
    user: kit.user,
    password: kit.password === undefined ? undefined : await resolveSecret(kit.password),
    into,
    signal: AbortSignal.any([step.signal, AbortSignal.timeout(kit.timeout)]),
    onProgress: step.onProgress,
  });
  const planned = await planSteps(found);
  return {
    name: found.manifest.name,
    version: found.manifest.version,
    hash: found.hash,
    procedureHash: hashProcedure(planned),
    steps: planned.map(({ name }) => name),
    source: found.source,
    folder: into,
  };
}

function kitFolder({ control }: Site, key: string): string {
  return join(control.directory, 'kits', key.replaceAll(/[^A-Za-z0-9._-]/g, '.'));
}

/** `engine`: how the steps of the kit that are the database's own run. */
export async function installKit(
  machine: MachineAccess,
  engine: Pick<ApplyKitOptions, 'database' | 'sqlPlus'>,
  kit: KitFound,
  staged: KitApplied | null,
  step: Step,
): Promise<KitApplied> {
  const opened = await openKit(kit.folder, kit.hash, step.signal);
  const previous = (await step.notes.read()) as unknown as KitStepRecord[];
  return withGuest(machine, step.signal, async (guest) =>
    applyKit({
      kit: opened,
      guest,
      place: { systemDisk: machine.facts.systemDisk, dataDisk: machine.facts.dataDisk },
      ...engine,
      previousSteps: previous,
      recordedSteps: staged?.steps,
      onRecord: async (record) => step.notes.write(toJson(record)),
      signal: step.signal,
      onProgress: step.onProgress,
    }),
  );
}

/** The kept kit as it is now; where it came from a folder that is still there, that one must not have changed either (R19). */
export async function readHashesNow(site: Site, kit: KitFound, signal: AbortSignal): Promise<CurrentHashes> {
  const kept = await readKept(kit, signal);
  const checks = await findSmokeFiles(site.smoke.directory).then(
    ({ checksHash }) => checksHash,
    () => null,
  );
  if (kept === null) return { kit: null, procedure: null, checks };
  const source = await hashSource(kit, signal);
  return { kit: source ?? kept.hash, procedure: hashProcedure(await planSteps(kept)), checks };
}

async function readKept({ folder }: KitFound, signal: AbortSignal): Promise<Kit | null> {
  try {
    const { hash } = await checkKit(folder, signal);
    return await openKit(folder, hash, signal);
  } catch {
    signal.throwIfAborted();
    return null;
  }
}

async function hashSource({ source, hash }: KitFound, signal: AbortSignal): Promise<string | null> {
  if (/^[a-z]+:\/\//i.test(source)) return null;
  const found = await stat(resolve(source)).catch(() => undefined);
  if (found?.isDirectory() !== true) return null;
  try {
    return (await hashKit(resolve(source), signal)).hash;
  } catch {
    signal.throwIfAborted();
    return `${hash} and unreadable`;
  }
}

export async function smoke(site: Site, machine: MachineAccess, step: Step): Promise<SmokeRun> {
  const { facts, address } = machine;
  const report = await runSmoke({
    directory: site.smoke.directory,
    machine: smokeMachineOf(site, facts, address),
    timeoutMs: site.smoke.timeout,
    signal: step.signal,
    onProgress: step.onProgress,
  });
  return {
    checksHash: report.checksHash,
    passed: report.passed,
    failed: failedNames(report),
    finishedAt: report.finishedAt,
    report,
  };
}
