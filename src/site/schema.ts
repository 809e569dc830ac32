import { z } from 'zod';
import { archive, database, departments, dba, machines, guest, staging } from './sections.ts';
import { control, kit, notify, promotion, pulumi, schedule, serve, smoke } from './release-sections.ts';
import { evenWithOtherMistakes, name } from './fields.ts';

/**
 * The shape of clona.yaml. Relative paths are resolved against `folder`. What comes out is `Site`: durations in
 * milliseconds, sizes in bytes, percentages as numbers, paths absolute, secrets as references.
 */
export function createSiteSchema(folder: string) {
  return z
    .strictObject({
      name: name('the name of the site; it stands in every record of evidence'),
      machines: machines(folder),
      guest: guest(folder).optional(),
      database: database(folder),
      archive: archive(folder),
      staging: staging(folder),
      kit: kit(folder),
      smoke: smoke(folder),
      departments: departments(),
      dba: dba(),
      promotion: promotion(),
      schedule: schedule(),
      notify: notify(folder),
      control: control(folder),
      pulumi: pulumi(folder),
      serve: serve(folder),
    })
    .superRefine((site, context) => {
      for (const [path, message] of findMistakesBetween(site))
        context.addIssue({ code: 'custom', path: [...path], message });
    }, evenWithOtherMistakes);
}

/** What is read here may have mistakes of its own. */
interface Halfway {
  machines?: { platform?: unknown; vsphere?: unknown; live?: { name?: unknown } };
  staging?: { name?: unknown };
  guest?: { hostKey?: unknown } | null | undefined;
}

/** What no section can tell alone: where, and what. */
function* findMistakesBetween({ machines, staging, guest }: Halfway): Generator<[readonly string[], string]> {
  const names = [
    [['machines', 'live', 'name'], machines?.live?.name],
    [['staging', 'name'], staging?.name],
  ] as const;
  const [live, clone] = names.map(([, name]) => name);
  if (typeof clone === 'string' && clone === live)
    yield [
      ['staging', 'name'],
      'the staging machine has the name of the live machine: a clone is another machine',
    ];
  if (machines?.platform === 'local') {
    for (const [path, name] of names) {
      if (typeof name !== 'string' || /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/.test(name)) continue;
      yield [path, 'is no name of a local machine: small letters, digits and dashes, at most 63'];
    }
  }
  if (machines?.platform !== 'vsphere') return;
  if (machines.vsphere === undefined)
    yield [['machines', 'vsphere'], 'is missing: the platform vsphere needs it'];
  // It is the name of a VM, and of a stack of Pulumi.
  if (typeof clone === 'string' && !/^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,79}$/.test(clone))
    yield [['staging', 'name'], 'is no name of a clone: letters, digits and . _ -, at most 80'];
  // Without a guest at all the file may be one that init has just written.
  if (guest?.hostKey === undefined && guest !== undefined && guest !== null)
    yield [['guest', 'hostKey'], 'is missing: the platform vsphere needs it'];
}

export type SiteSections = z.output<ReturnType<typeof createSiteSchema>>;
