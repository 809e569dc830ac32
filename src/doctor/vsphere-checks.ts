import { ClonaError, toClonaError } from '../errors.ts';
import type { CloneSource } from '../machines/vsphere/clone-source.ts';
import type { CloneRequest } from '../machines/vsphere/prepare-clone.ts';
import type { MissingPrivilege, PrivilegeRow } from '../machines/vsphere/privileges.ts';
import { failed, ok, warning, type Finding, type Patient } from './check.ts';

/** What doctor asks a vCenter, before anything is changed there. Sites on other platforms have no row of it. */

const answers = new WeakMap<Patient['site'], Promise<ClonaError | undefined>>();

/** Why the vCenter lets nobody in, asked once; undefined: it does. */
async function tryVcenter({ site, signal }: Patient): Promise<ClonaError | undefined> {
  const look = async (): Promise<void> => {
    const { openVim } = await import('../machines/vsphere/client.ts');
    const { resolveVimAddress } = await import('../pipeline/vsphere/site-settings.ts');
    for (const purpose of ['clone', 'promotion'] as const) {
      await using _session = await openVim(await resolveVimAddress(site, purpose), signal);
    }
  };
  const answer =
    answers.get(site) ??
    look().then(
      () => undefined,
      (error: unknown) => toClonaError(error),
    );
  answers.set(site, answer);
  return answer;
}

/** Whether there is something to ask; what hinders it is said by `vsphereReachable` alone. */
export async function canAsk(patient: Patient): Promise<boolean> {
  return patient.site.machines.platform === 'vsphere' && (await tryVcenter(patient)) === undefined;
}

export async function vsphereReachable(patient: Patient): Promise<Finding[]> {
  const { vsphere, platform } = patient.site.machines;
  if (platform !== 'vsphere' || vsphere === undefined) return [];
  const error = await tryVcenter(patient);
  if (error !== undefined) throw error;
  const users = [...new Set([vsphere.user, vsphere.promotionUser ?? vsphere.user])];
  return [ok(`the vCenter ${vsphere.server} lets in ${users.join(' and ')}`)];
}

/** Everything that `refresh` would refuse before its first change: names, production's shape, the network, the room. */
export async function vsphereClone(patient: Patient): Promise<Finding[]> {
  const { site, signal } = patient;
  if (!(await canAsk(patient))) return [];
  const { prepareClone } = await import('../machines/vsphere/prepare-clone.ts');
  const { source, plan, warnings, existing } = await prepareClone(await requestOf(site), signal);
  const disks = plan.disks.reduce((sum, { sizeGib }) => sum + sizeGib, 0);
  const shape = `${plan.cpus} CPUs, ${plan.memoryMb} MiB, ${plan.disks.length} disks of ${disks} GiB`;
  const there = existing === undefined ? 'can be cloned' : 'is cloned already';
  return [
    ok(`${source.name} ${there}: ${shape}`),
    ...warnings.map((text) => warning(text, 'destroy the linked clones that stand on it, or refresh them')),
    ...(await forgottenBase(patient, source)),
  ];
}

/** A run that was killed in the wrong moment, or clones deleted by hand: nobody would ever remove it. */
async function forgottenBase({ site, signal }: Patient, source: CloneSource): Promise<Finding[]> {
  const { findBase, findStanding } = await import('../machines/vsphere/base-snapshot.ts');
  if (findBase(source.snapshots) === undefined) return [];
  const { openVim } = await import('../machines/vsphere/client.ts');
  const { resolveVimAddress } = await import('../pipeline/vsphere/site-settings.ts');
  await using vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
  if ((await findStanding(vim, source, signal)).length > 0) return [];
  return [
    warning(
      `no linked clone stands on the snapshot clona-base of ${source.name}, which grows with every write`,
      'remove it in vCenter',
    ),
  ];
}

/** R21: on the isolated network belong clones, and a jump host; whatever else is there, a clone reaches it. */
export async function vsphereNetwork(patient: Patient): Promise<Finding[]> {
  const { site, signal } = patient;
  const { isolatedPortGroup } = site.machines.vsphere ?? {};
  if (!(await canAsk(patient))) return [];
  if (isolatedPortGroup === undefined) return [ok('each clone gets a port group of its own, without uplink')];
  const { openVim } = await import('../machines/vsphere/client.ts');
  const { listMachinesOn } = await import('../machines/vsphere/neighbours.ts');
  const { inventoryPlaces, resolveVimAddress, vsphereSettings } =
    await import('../pipeline/vsphere/site-settings.ts');
  await using vim = await openVim(await resolveVimAddress(site, 'clone'), signal);
  const { datacenter } = inventoryPlaces(vsphereSettings(site));
  const others = await listMachinesOn(vim, datacenter, isolatedPortGroup, signal);
  const allowed = site.machines.vsphere?.jumpHost === undefined ? 0 : 1;
  if (others.length <= allowed) return [ok(`the network ${isolatedPortGroup} is that of clones alone`)];
  return [
    warning(
      `on the isolated network ${isolatedPortGroup} are machines that clona did not make: ${others.join(', ')}`,
      'only clones and a jump host belong there: a clone reaches whatever else is on it',
    ),
  ];
}

/** R18, R20: what a VM snapshot of LIVE does not hold would not come back by a rollback. */
export async function vsphereEscapes(patient: Patient): Promise<Finding[]> {
  const { site, signal } = patient;
  if (!(await canAsk(patient))) return [];
  const { openVim } = await import('../machines/vsphere/client.ts');
  const { findSnapshotEscapes } = await import('../machines/vsphere/machines.ts');
  const { sourcePath } = await import('../machines/vsphere/prepare-clone.ts');
  const { inventoryPlaces, resolveVimAddress, vsphereSettings } =
    await import('../pipeline/vsphere/site-settings.ts');
  await using vim = await openVim(await resolveVimAddress(site, 'promotion'), signal);
  const places = inventoryPlaces(vsphereSettings(site));
  const path = sourcePath({ source: site.machines.live.name, places });
  const escapes = await findSnapshotEscapes(vim, path, signal);
  if (escapes.length === 0) return [ok(`a VM snapshot of ${path} holds all its disks`)];
  return escapes.map((what) =>
    failed(
      `a VM snapshot of ${path} does not hold ${what}`,
      'change that disk; a rollback would leave it as it is',
    ),
  );
}

/** One row a missing privilege, for who clones and for who promotes; and whether these are two users. */
export async function vspherePrivileges(patient: Patient): Promise<Finding[]> {
  const { site, signal } = patient;
  if (!(await canAsk(patient))) return [];
  const { clonePrivileges, promotionPrivileges, dangerousPrivileges } =
    await import('../machines/vsphere/privileges.ts');
  const { promotionUser } = site.machines.vsphere ?? {};
  const clone = await hold(site, 'clone', clonePrivileges, signal);
  const promotion = await hold(site, 'promotion', promotionPrivileges, signal);
  const findings = [...clone.findings, ...promotion.findings];
  if (promotionUser === undefined) {
    return [...findings, warning('the user who clones may also change production', separate)];
  }
  const dangerous = dangerousPrivileges.filter((privilege) => clone.onProduction.has(privilege));
  return dangerous.length === 0
    ? findings
    : [
        ...findings,
        warning(
          `${clone.user}, who clones, could change production: ${dangerous.join(', ')}`,
          'take them away there',
        ),
      ];
}

const separate = 'give machines.vsphere.promotionUser, and take the rights on production from the other';

async function hold(
  site: Patient['site'],
  purpose: 'clone' | 'promotion',
  rows: readonly PrivilegeRow[],
  signal: AbortSignal,
): Promise<{ findings: Finding[]; user: string; onProduction: ReadonlySet<string> }> {
  const { openVim } = await import('../machines/vsphere/client.ts');
  const { missingPrivileges, readPrivileges } = await import('../machines/vsphere/privileges.ts');
  const { findPrivilegeObjects } = await import('../machines/vsphere/privilege-objects.ts');
  const { resolveVimAddress } = await import('../pipeline/vsphere/site-settings.ts');
  await using vim = await openVim(await resolveVimAddress(site, purpose), signal);
  const request = await requestOf(site);
  const customization = site.machines.vsphere?.customization !== undefined;
  const { objects, ways } = await findPrivilegeObjects(vim, { ...request, customization }, signal);
  const held = await readPrivileges(vim, objects, signal);
  const missing = missingPrivileges(rows, ways, objects, held);
  const verb = purpose === 'clone' ? 'clones' : 'promotes';
  const production = objects.production?.[0]?.reference;
  return {
    user: held.user,
    onProduction: production === undefined ? new Set() : held.on(production),
    findings:
      missing.length === 0
        ? [ok(`${held.user}, who ${verb}, has every vSphere privilege for it`)]
        : missing.map((one) => lack(held.user, verb, one)),
  };
}

function lack(user: string, verb: string, { privilege, name }: MissingPrivilege): Finding {
  return failed(
    `${user}, who ${verb}, lacks ${privilege} on ${name}`,
    'add it to the role of that user there (docs/how-to/vsphere.md lists all)',
  );
}

async function requestOf(site: Patient['site']): Promise<CloneRequest> {
  const { vsphereStagingArgs } = await import('../pipeline/vsphere/site-settings.ts');
  const { cloneRequestOf } = await import('../machines/pulumi/clone-request.ts');
  const database = { engine: 'postgres', database: 'postgres', user: 'postgres', port: 5432 } as const;
  const args = await vsphereStagingArgs(site, site.staging.name, database);
  if (args.vsphere === undefined) throw new ClonaError('usage', 'the site is not on the platform vsphere');
  return cloneRequestOf(site.staging.name, { ...args, vsphere: args.vsphere }, false);
}
