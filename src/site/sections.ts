import { z } from 'zod';
import { sameName } from '../gate/signing.ts';
import {
  duration,
  evenWithOtherMistakes,
  flag,
  integer,
  label,
  line,
  path,
  percent,
  secret,
  secretFile,
  size,
  text,
  timeZone,
} from './fields.ts';
import { oracleImport } from './oracle-import.ts';
import { oracleKeep } from './oracle-keep.ts';
import { oracleStaging } from './oracle-staging.ts';

/** The sections that say what there is: machines, database, archive, staging, people. */

export const machines = (folder: string) =>
  z
    .strictObject({
      platform: z.enum(['local', 'vsphere']).default('local').meta({ description: 'where machines run' }),
      root: path(folder, 'platform local: the folder that holds the machines').prefault('.clona/machines'),
      live: z
        .strictObject({ name: line('the production machine, as the platform knows it').default('live') })
        .prefault({})
        .meta({ description: 'the production machine' }),
      vsphere: vsphere(folder).optional(),
    })
    .prefault({})
    .meta({ description: 'the platform, and the production machine on it' });

const vsphere = (folder: string) =>
  z
    .strictObject({
      server: z
        .string()
        .regex(/^(?:\[[0-9A-Fa-f:.]+\]|[\p{L}\p{N}._-]+)(?::\d{1,5})?$/u)
        .meta({
          title: 'a host name or address, or one with a port, and no URL',
          examples: ['vcenter.example.com', 'vcenter.example.com:8443'],
          description: 'vCenter: host or host:port',
        }),
      user: text('the user who clones; needs no right to change the production machine'),
      password: secret(folder, 'password of user'),
      promotionUser: text('the user who snapshots and reverts production; default: user').optional(),
      promotionPassword: secret(folder, 'password of promotionUser').optional(),
      authority: path(folder, "certificate (PEM) of the authority that signed the vCenter's").optional(),
      allowUnverifiedTls: flag('accept a certificate that nobody signed').default(false),
      datacenter: text('name of the datacenter'),
      cluster: text('compute cluster, or a host; this or resourcePool is needed').optional(),
      resourcePool: text('resource pool of the clones').optional(),
      datastore: text('datastore of the clones').optional(),
      datastoreCluster: text('datastore cluster of the clones, in place of datastore').optional(),
      folder: text('inventory folder of the clones').optional(),
      clone: z
        .enum(['full', 'linked'])
        .default('full')
        .meta({ description: 'full copy, or on a base snapshot' }),
      customization: text('name of a customization specification of the vCenter; default: none').optional(),
      cpus: integer(1, 768, 'CPUs of a clone; default: as production').optional(),
      memory: size('memory of a clone; default: as production').optional(),
      systemDisk: text('where the application lies, as the guest sees it').default('/opt'),
      dataDisk: text('where the data lies, as the guest sees it').default('/data'),
      dataDir: text(
        "the database's data directory, as the guest sees it; default: pg on dataDisk",
      ).optional(),
      socketDir: text("the folder of the database server's Unix socket, as the guest sees it").default(
        '/var/run/postgresql',
      ),
      bootTimeout: duration('a machine that cannot be entered by then has failed').prefault('15m'),
      isolatedPortGroup: text('an existing port group that leads nowhere; else one is created').optional(),
      host: text('the host on which a port group without uplink is created').optional(),
      jumpHost: z
        .strictObject({
          host: text('host name or address of the machine with a leg in the isolated network'),
          port: integer(1, 65_535, 'its SSH port').default(22),
          user: text('its SSH user'),
          privateKey: secretFile(folder, 'the private key for it'),
          hostKey: hostKey('its host key'),
        })
        .optional()
        .meta({ description: 'the way into the isolated network' }),
    })
    .superRefine((value, context) => {
      const refuse = (key: string, message: string): void =>
        context.addIssue({ code: 'custom', path: [key], message });
      if (value.isolatedPortGroup !== undefined && value.host !== undefined) {
        refuse('host', 'stands beside isolatedPortGroup: a clone is on one network');
      }
      if (value.cluster === undefined && value.resourcePool === undefined) {
        refuse('cluster', 'is missing: clones need a cluster, a host or a resourcePool to run on');
      }
      if (value.datastore !== undefined && value.datastoreCluster !== undefined) {
        refuse('datastoreCluster', 'stands beside datastore: clones are put on one of them');
      }
      if (value.datastore === undefined && value.datastoreCluster === undefined) {
        refuse('datastore', 'is missing: clones need a datastore or a datastoreCluster');
      }
      if (value.isolatedPortGroup === undefined && value.host === undefined) {
        const message = 'is missing: name a port group that leads nowhere, or a host on which one is made';
        refuse('isolatedPortGroup', message);
      }
      if ((value.promotionUser === undefined) !== (value.promotionPassword === undefined)) {
        refuse('promotionPassword', 'promotionUser and promotionPassword are given together or not at all');
      }
    }, evenWithOtherMistakes)
    .meta({ description: 'the platform vsphere' });

const hostKey = (description: string) =>
  z
    .string()
    .regex(/^SHA256:[A-Za-z0-9+/]{43}=?$/)
    .meta({
      title: 'a fingerprint as ssh-keygen -l prints it',
      examples: ['SHA256:47DEQpj8HBSa…'],
      description,
    });

export const guest = (folder: string) =>
  z
    .strictObject({
      user: text('the SSH user in the guest'),
      privateKey: secretFile(folder, 'the private key for it'),
      hostKey: hostKey('the host key that is accepted, and no other').optional(),
      platform: z.enum(['linux', 'windows']).default('linux').meta({ description: 'the guest system' }),
      port: integer(1, 65_535, 'the SSH port in the guest').default(22),
    })
    .meta({ description: 'the way into the operating system of the machines' });

const oracle = (folder: string) =>
  z
    .strictObject({
      connectString: text('in place of host, port and name: EZConnect, descriptor or tnsnames.ora name', [
        'tcps://db.example:2484/erp',
      ]).optional(),
      wallet: path(folder, 'the folder of ewallet.pem, for TCPS').optional(),
      walletPassword: secret(folder, 'password of the wallet').optional(),
      privilege: z.enum(['normal', 'sysbackup', 'sysdba']).default('normal').meta({
        description: 'the privilege to connect with; sysbackup reads a database that is only mounted',
      }),
      home: text('ORACLE_HOME on its machine, for RMAN and SQL*Plus over SSH').optional(),
      instance: text('ORACLE_SID on its machine; default: name').optional(),
      schemas: z
        .array(text('a schema of the application; one in mixed case in double quotes: \'"Erp"\''))
        .default([])
        .meta({
          title: 'a list of schemas',
          description: 'what the fingerprint is taken of (drift, rollback); default: import.schemas',
        }),
      staging: oracleStaging(folder),
      keep: oracleKeep(folder).optional(),
      import: oracleImport(folder).optional(),
      export: z
        .strictObject({
          directory: text('the DIRECTORY object of the server into which it exports', ['DUMPS']),
          schemas: z
            .array(text('a schema of LIVE; one in mixed case in double quotes: \'"Erp"\''))
            .min(1)
            .meta({ title: 'a list of schemas', description: 'the schemas that are exported' }),
        })
        .optional()
        .meta({ description: 'clona backup --kind export; default: directory and schemas of import' }),
      archives: z
        .array(path(folder, 'a folder with copies, logs or exports, as this host sees it'))
        .optional()
        .meta({
          title: 'a list of folders',
          description:
            'where clona catalog looks for hot and cold copies and exports; default: archive.location and the folder of import',
        }),
      timeZone: timeZone("zone of the database server's host, for the times of its control file").optional(),
    })
    .meta({ description: 'engine oracle: what only Oracle has' });

export const database = (folder: string) =>
  z
    .strictObject({
      engine: z.enum(['postgres', 'oracle']).default('postgres').meta({ description: 'the database engine' }),
      url: secret(folder, "production's address with user and password as one secret").optional(),
      host: text('host, or the folder of a Unix socket').optional(),
      port: integer(1, 65_535, 'port').optional(),
      name: text('name of the database (Oracle: service)').optional(),
      user: text('the user who backs up and reads').optional(),
      password: secret(folder, 'password of user').optional(),
      oracle: oracle(folder).optional(),
      binDir: path(folder, "folder of the server's programs; default: the embedded ones").optional(),
      dataDir: path(
        folder,
        'the data directory, where it lies on this host; default: as the running server says',
      ).optional(),
      service: z
        .strictObject({
          stop: text('a command that stops the server', ['systemctl stop postgresql@17-main']),
          start: text('a command that starts it', ['systemctl start postgresql@17-main']),
        })
        .optional()
        .meta({
          description:
            'cold backups: how the init system stops and starts the server; default: by its own signals and last command line',
        }),
      embedded: z
        .literal([15, 16, 17, 18])
        .optional()
        .meta({ description: 'major version of the embedded server, where several are installed' }),
      businessCounts: z
        .array(
          z.strictObject({
            name: line('what is counted'),
            sql: text('a query that gives one row of numbers'),
          }),
        )
        .superRefine((list, context) => {
          for (const [index, { name }] of list.entries()) {
            if (list.findIndex((other) => other.name === name) === index) continue;
            context.addIssue({ code: 'custom', path: [index, 'name'], message: `${name} is counted twice` });
          }
        })
        .default([])
        .meta({
          description: 'grade 5: numbers that must agree between production and the restored archive',
        }),
      countsLock: flag('compare exactly, under a brief write lock; false: as bounds').default(true),
      countsLockTimeout: duration('give the lock up when it is not granted by then').prefault('2s'),
    })
    .superRefine((value, context) => {
      const parts = (['host', 'port', 'user', 'password'] as const).filter((key) => value[key] !== undefined);
      if (value.url === undefined || parts.length === 0) return;
      context.addIssue({
        code: 'custom',
        path: [parts[0] ?? 'url'],
        message: 'stands beside url: give the address either as url or in parts',
      });
    })
    .prefault({})
    .meta({ description: 'the production database; without an address it is the one on the live machine' });

export const archive = (folder: string) =>
  z
    .strictObject({
      location: path(folder, 'the folder of the archive, on another physical disk than the database'),
      mirror: path(folder, 'a second folder for backups, log and the head of the evidence').optional(),
      minimumGrade: integer(0, 6, 'the gate opens only for an archive proven to this grade').default(5),
      maximumAge: duration('the gate opens only for an archive proven within this time').prefault('26h'),
      acceptSharedDisk: text('the reason why archive and database may share a disk; shown red').optional(),
      acceptMirrorAway: text(
        'the reason why LIVE may be changed while the mirror is away: its log then lies in one place',
      ).optional(),
      receiver: flag('clona serve also streams the log, second by second, to location and mirror').default(
        false,
      ),
      compressionLevel: integer(1, 19, 'zstd level').default(3),
      workers: integer(1, 64, 'parallel streams').default(4),
      retention: z
        .strictObject({
          redundancy: integer(0, 10_000, 'keep the newest n backups; 0: off').default(2),
          windowDays: integer(0, 36_500, 'keep what reaches any moment of the last n days; 0: off').default(
            7,
          ),
          orphanDays: integer(0, 36_500, 'keep the backups of abandoned branches n days').default(0),
        })
        .prefault({})
        .meta({ description: 'which backups are kept' }),
      zone: z
        .strictObject({
          yellow: percent('fuller than this: tidy up, refreshes wait').prefault('80%'),
          red: percent('fuller than this: block writers, quiesced backup').prefault('92%'),
          blockAt: z
            .enum(['yellow', 'red'])
            .default('red')
            .meta({ description: 'where writers are blocked' }),
          archiveQuota: size(
            'what the archive may take, where it shares its disk; default: the disk',
          ).optional(),
          logQuota: size("what the database's log area may take; default: its disk").optional(),
        })
        .prefault({})
        .refine((zone) => zone.yellow < zone.red, {
          error: 'yellow must be lower than red',
          path: ['yellow'],
        })
        .meta({ description: 'how full the disk of the archive or of the log may get' }),
    })
    .refine((value) => value.location !== value.mirror, {
      error: 'is the same folder as location: a mirror is a second place',
      path: ['mirror'],
    })
    .refine(({ location, mirror = '' }) => !isInside(mirror, location) && !isInside(location, mirror), {
      error: 'lies inside the other: whoever removes one removes both',
      path: ['mirror'],
    })
    .meta({ description: 'where backups and archived logs are kept, and how good they must be' });

function isInside(inner: string, outer: string): boolean {
  return outer !== '' && inner !== outer && inner.startsWith(outer.endsWith('/') ? outer : `${outer}/`);
}

export const staging = (folder: string) =>
  z
    .strictObject({
      name: line('the name of the staging machine').default('staging'),
      network: z
        .enum(['isolated'])
        .default('isolated')
        .meta({ description: 'a clone is never on the network of production' }),
      size: size('the size of its data disk; default: as production').optional(),
      timeToLive: duration('it is destroyed when this time has passed')
        .refine((value) => value > 0, { error: 'is nothing: the machine would be gone at once' })
        .prefault('7d'),
      fence: z
        .array(
          z.strictObject({
            name: text('what is cut off'),
            sql: text('SQL that cuts it off'),
            check: text('a query that gives true when it is cut off'),
          }),
        )
        .default([])
        .meta({ description: "the site's own ways out: e-invoicing, bank, fiscal devices" }),
      services: z
        .array(text('the name of a service', ['ERP_WEB']))
        .default([])
        .meta({
          title: 'a list of services',
          description:
            'engine oracle: services of production that the application on the clone connects to; all others are stopped',
        }),
      masking: z
        .array(path(folder, 'a file of SQL'))
        .default([])
        .meta({ description: 'SQL files run after the proof and before anyone is let in' }),
      clonaPrefix: z
        .enum(['CLONA', 'X'])
        .default('CLONA')
        .meta({ description: 'prefix of the schema that the archive is imported into' }),
    })
    .prefault({})
    .meta({ description: 'the clone of production' });

const person = () => line('a person: user name or mail address', ['amra@example.com']);

export const departments = () =>
  z
    .array(
      z.strictObject({
        name: label('the department', ['accounting', 'Human Resources', 'računovodstvo']),
        keyUsers: z.array(person()).default([]).meta({ description: 'who speaks for it' }),
        delegates: z.array(person()).default([]).meta({ description: 'who speaks for it when they cannot' }),
        checks: z.array(text('what to try')).default([]).meta({ description: 'what its key user tries' }),
      }),
    )
    .superRefine((list, context) => {
      for (const [index, { name }] of list.entries()) {
        if (list.findIndex((other) => sameName(other.name, name)) === index) continue;
        context.addIssue({
          code: 'custom',
          path: [index, 'name'],
          message: `the department ${name} stands twice`,
        });
      }
    })
    .default([])
    .meta({ description: 'who must confirm a release' });

export const dba = () =>
  z
    .strictObject({
      name: person().optional(),
      checklist: z
        .array(text('a thing to do'))
        .default([])
        .meta({ description: 'done before key users are asked' }),
    })
    .prefault({})
    .meta({ description: 'the database administrator' });
