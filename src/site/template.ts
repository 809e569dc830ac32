import { peopleText, releaseText, scheduleText } from './template-release.ts';
import type { SiteAnswers } from './answers.ts';
import { alignRemark, list, quote } from './yaml-text.ts';

export const defaultAnswers: SiteAnswers = {
  name: 'erp',
  platform: 'local',
  live: 'live',
  engine: 'postgres',
  databaseUrl: undefined,
  archive: 'archive',
  mirror: undefined,
  departments: [],
  dba: undefined,
  businessCounts: [],
  masking: [],
  kitSource: undefined,
  minimumGrade: 5,
};

/** A whole clona.yaml: every key is in it, those that were not asked for as comments that show the default. */
export function siteFileText(answers: SiteAnswers): string {
  return [
    '# yaml-language-server: $schema=./node_modules/clona/docs/clona.schema.json',
    '# The site file of clona. Paths count from this file; durations are 90s, 15m, 26h, 7d; sizes 512MB, 20GB.',
    '# No secret stands here: write env:NAME (an environment variable) or file:PATH (a file of mode 600).',
    '# Check it with: clona doctor',
    '',
    `name: ${quote(answers.name)}`,
    '',
    ...machinesText(answers),
    ...databaseText(answers),
    ...archiveText(answers),
    ...stagingText(answers),
    ...releaseText(answers),
    ...peopleText(answers),
    ...scheduleText,
  ]
    .map(alignRemark)
    .join('\n');
}

function machinesText({ platform, live }: SiteAnswers): string[] {
  const vsphere = [
    'vsphere:',
    '  server: vcenter.example.com',
    '  user: clona@vsphere.local        # clones; needs no right to change production',
    '  password: env:VSPHERE_PASSWORD',
    '  # promotionUser: clona-promote@vsphere.local   # snapshots and reverts production; default: user',
    '  # promotionPassword: env:VSPHERE_PROMOTION_PASSWORD',
    '  datacenter: DC0',
    '  cluster: C0                      # or a host; resourcePool in place of it',
    '  # resourcePool: cluster/Resources/staging',
    '  datastore: DS0                   # or datastoreCluster in place of it',
    '  # datastoreCluster: POD0',
    '  # folder: staging',
    '  # clone: full                    # full, or linked (on a base snapshot)',
    '  # customization: linux-static    # a customization specification of the vCenter',
    '  # cpus: 4                        # of a clone; default: as production',
    '  # memory: 16GiB                  # of a clone; default: as production',
    '  # systemDisk: /opt               # where the application lies, as the guest sees it',
    '  # dataDisk: /data                # where the data lies',
    "  # dataDir: /data/pg              # the database's files; default: pg on dataDisk",
    '  # socketDir: /var/run/postgresql # where its Unix socket is',
    '  # bootTimeout: 15m               # a machine that cannot be entered by then has failed',
    '  isolatedPortGroup: nowhere       # a port group without a way out; without it one is created on host',
    '  # host: esx0.example.com',
    '  # authority: vcenter-ca.pem      # who signed the certificate of the vCenter',
    '  # allowUnverifiedTls: false',
    '  # jumpHost:                      # a machine with a leg in the isolated network',
    '  #   host: jump.example.com',
    '  #   port: 22',
    '  #   user: clona',
    '  #   privateKey: file:secrets/jump',
    '  #   hostKey: SHA256:…             # ssh-keygen -lf host_key.pub',
  ];
  return [
    '# Where machines run, and which one is production.',
    'machines:',
    `  platform: ${platform}                  # local or vsphere`,
    platform === 'local'
      ? '  # root: .clona/machines          # platform local: the folder that holds the machines'
      : '  # root: .clona/machines',
    '  live:',
    `    name: ${quote(live)}                     # the production machine, as the platform knows it`,
    ...vsphere.map((line) => (platform === 'vsphere' ? `  ${line}` : `  # ${line}`)),
    '',
    '# The way into the operating system. Platform local makes its own keys.',
    '# guest:',
    '#   user: clona',
    '#   privateKey: file:secrets/id_ed25519',
    '#   hostKey: SHA256:…              # the only host key that is accepted',
    '#   platform: linux                # linux or windows',
    '#   port: 22',
    '',
  ];
}

function databaseText({ engine, databaseUrl, businessCounts }: SiteAnswers): string[] {
  return [
    '# The production database. Without an address it is the one on the live machine.',
    'database:',
    `  engine: ${engine}               # postgres or oracle`,
    databaseUrl === undefined
      ? '  # url: env:ERP_DATABASE_URL      # postgresql://user:password@host:5432/name, or in parts:'
      : `  url: ${quote(databaseUrl)}`,
    '  # host: db.example.com',
    '  # port: 5432',
    '  # name: erp',
    '  # user: clona',
    '  # password: env:ERP_DATABASE_PASSWORD',
    '  # oracle:                          # engine oracle only, see docs/how-to/oracle.md',
    '  #   connectString: tcps://db.example.com:2484/erp   # in place of host, port and name',
    '  #   wallet: secrets/wallet           # the folder of ewallet.pem, for TCPS',
    '  #   walletPassword: env:ERP_WALLET_PASSWORD',
    '  #   privilege: normal                # normal, sysbackup or sysdba',
    '  #   home: /u01/app/oracle/product/19.0.0/dbhome_1   # ORACLE_HOME, for RMAN over SSH',
    '  #   instance: ERP                    # ORACLE_SID',
    "  #   timeZone: Europe/Sarajevo        # of the server's host: the control file's times have no zone",
    '  #   schemas: [erp]                   # of the application: drift and rollback are seen by their definitions',
    '  #   keep:                            # beside each backup: parameters, and',
    '  #     folder: /archive/erp/keep      # seen by production and clones; default: keep in archive.location',
    '  #     passwordFile: /u01/app/oracle/product/19.0.0/dbhome_1/dbs/orapwERP',
    '  #     wallet: /etc/oracle/wallets/tcps',
    '  #     keystore: /etc/oracle/wallets/ERP/tde   # of TDE',
    '  #     keystoreTo: /secure/keystores/erp       # never with the backups that it opens',
    '  #     keystorePassword: env:ERP_KEYSTORE_PASSWORD',
    '  #   staging:                         # the database on the clones',
    '  #     name: CLONA                    # DB_NAME and service there',
    '  #     instance: CLONA                # ORACLE_SID there; default: name',
    '  #     home: /u01/app/oracle/product/19.0.0/dbhome_1   # ORACLE_HOME there; default: home',
    '  #     dataDir: /data/oradata         # default: oradata on the data disk',
    '  #     recoveryDir: /data/recovery',
    '  #     recoverySize: 50GB',
    '  #     archives: [/archive/erp]       # backups and archived logs, read-only, under the paths of production',
    "  #     clear: [/u02/oradata/ERP]      # production's datafiles on a full clone, emptied before the restore",
    '  #     channels: 1                    # more than 1 is for Enterprise Edition',
    '  #     memory: 8GB                    # SGA_TARGET',
    '  #     user: clona                    # who reads there; default: database.user',
    '  #     password: env:ERP_CLONE_PASSWORD   # default: database.password',
    '  #     privilege: normal              # or sysdba: needs a password file there',
    '  #   export:                        # for clona backup --kind export',
    '  #     directory: DUMPS               # DIRECTORY object of the server',
    '  #     schemas: [erp]',
    '  #   import:                          # grade 4 of exports, see docs/how-to/oracle-import.md',
    '  #     schemas: [erp]',
    '  #     prefix: CLONA                  # CLONA_ERP',
    '  #     directory: DUMPS               # DIRECTORY object, and its folder as this host sees it',
    '  #     folder: /mnt/backup/dumps',
    "  #     connectString: staging.example.com:1521/erp   # default: the database's own server",
    '  #     compareWithLive: false',
    '  #     acceptCharacterLoss: false     # true: letters that the server cannot hold are told with every proof',
    '  #     tablespaces: { ERP_DATA: CLONA_DATA }',
    '  #     defaultTablespace: CLONA_DATA',
    '  #     encryptionPassword: env:ERP_DUMP_PASSWORD',
    '  #     parallel: 1',
    '  #     parallelLicensed: false        # Data Pump in parallel is a paid feature',
    "  #     liveNames: refuse              # or rewrite: code that names LIVE's schema",
    '  #     accepted: ["PROCEDURE AUDIT_ALL"]',
    "  # binDir: /usr/lib/postgresql/16/bin   # the server's programs; default: the embedded ones",
    '  # embedded: 18',
    '  # dataDir: /var/lib/postgresql/16/main   # its files on this host; default: as the running server says',
    '  # service:                         # cold backups: how the init system stops and starts the server',
    '  #   stop: systemctl stop postgresql@16-main',
    '  #   start: systemctl start postgresql@16-main',
    ...list(
      '  businessCounts:',
      '# grade 5: numbers that must agree between production and the archive',
      businessCounts.map(({ name, sql }) => [`name: ${quote(name)}`, `sql: ${quote(sql)}`]),
      ['name: invoices', 'sql: select count(*), sum(total) from invoices'],
    ),
    '  # countsLock: true                # compare exactly, under a brief write lock; false: as bounds',
    '  # countsLockTimeout: 2s',
    '',
  ];
}

function archiveText({ archive, mirror, minimumGrade }: SiteAnswers): string[] {
  return [
    '# Backups and archived logs.',
    'archive:',
    `  location: ${quote(archive)}              # on another physical disk than the database`,
    mirror === undefined
      ? '  # mirror: /mnt/second/archive    # a second disk for the log'
      : `  mirror: ${quote(mirror)}`,
    `  minimumGrade: ${minimumGrade}                  # the gate opens only for an archive proven to this grade (0 to 6)`,
    '  maximumAge: 26h                  # and proven within this time',
    '  # acceptSharedDisk: we have but one disk   # a reason; shown red everywhere',
    '  # acceptMirrorAway: its disk is being mended   # a reason; else no promotion without the mirror',
    '  # receiver: true                 # clona serve streams the log to both, too: next to nothing is lost with LIVE',
    '  # compressionLevel: 3',
    '  # workers: 4',
    '  retention:',
    '    redundancy: 2                  # keep the newest n backups; 0: off',
    '    windowDays: 7                  # keep what reaches any moment of the last n days; 0: off',
    '    # orphanDays: 0                # keep backups of abandoned branches n days',
    '  # zone:                          # how full the disk of archive or log may get',
    '  #   yellow: 80%                  # tidy up, refreshes wait',
    '  #   red: 92%                     # block writers, take a quiesced backup',
    '  #   blockAt: red                 # where writers are blocked: yellow or red',
    '  #   archiveQuota: 200GB          # what the archive may take, where it shares its disk',
    "  #   logQuota: 20GB               # what the database's log area may take",
    '',
  ];
}

function stagingText({ masking }: SiteAnswers): string[] {
  return [
    '# LIVE STAGING, the clone of production.',
    'staging:',
    '  name: staging',
    '  # network: isolated              # nothing else is allowed: a clone never writes to production',
    '  # size: 20GB                     # its data disk; default: as production',
    '  timeToLive: 7d                   # destroyed after this time',
    ...list(
      '  fence:',
      "# the site's own ways out, beside archiving, replication, jobs, links and mail",
      [],
      [
        'name: e-invoicing',
        "sql: update settings set value = 'off' where key = 'e-invoicing'",
        "check: select value = 'off' from settings where key = 'e-invoicing'",
      ],
    ),
    ...list(
      '  masking:',
      '# SQL files run after the proof, before anyone is let in',
      masking.map((file) => [quote(file)]),
      ['masking/people.sql'],
    ),
    '  # clonaPrefix: CLONA              # prefix of the schema that proves the archive: CLONA or X',
    '',
  ];
}
