import { archiveFolders, archiveSpace } from './archive-checks.ts';
import type { Check } from './check.ts';
import { memory, nodeVersion, operatingSystem, toolchain } from './controller-checks.ts';
import {
  clocks,
  databaseReachable,
  databaseRights,
  databaseSettings,
  databaseVersion,
  logArchiving,
  preparedTransactions,
  unloggedTables,
} from './database-checks.ts';
import {
  oracleBackupMode,
  oracleCorruption,
  oracleLastBackup,
  oracleLogCopies,
  oracleRecoveryArea,
  oracleRights,
  oracleRman,
  oracleUnrecoverable,
} from './oracle-backup-checks.ts';
import { oracleRestorePoints } from './oracle-restore-points.ts';
import { oracleArchiving, oracleReachable, oracleRedo, oracleVersion } from './oracle-checks.ts';
import { oracleDevices } from './oracle-device-checks.ts';
import { secretsResolve } from './secret-checks.ts';
import { departments, gradeWithinReach, kitSource, masking, smokeTests } from './site-checks.ts';
import { controlFolder, listenPort, pulumiState, staleLocks } from './state-checks.ts';
import { devicesApart } from './device-checks.ts';
import { leftSlots } from './slot-check.ts';
import { logSpool } from './spool-check.ts';
import { backupPlaces } from './place-check.ts';
import { logStreams } from './stream-check.ts';
import { leftStopped } from './stopped-check.ts';
import { zones } from './zone-check.ts';
import {
  vsphereClone,
  vsphereEscapes,
  vsphereNetwork,
  vspherePrivileges,
  vsphereReachable,
} from './vsphere-checks.ts';
import { vsphereDevices } from './vsphere-devices.ts';
import { isolation, liveMachine, stagingName } from './staging-checks.ts';

/** What only PostgreSQL has is not looked at elsewhere. */
function onPostgres(look: Check['look']): Check['look'] {
  return (patient) => (patient.site.database.engine === 'postgres' ? look(patient) : []);
}

/** Everything that doctor looks at, in the order in which it tells it. A new check is a function and a row here. */
export const checks = {
  node: { topic: 'controller', look: nodeVersion },
  system: { topic: 'controller', look: operatingSystem },
  memory: { topic: 'controller', look: memory },
  toolchain: { topic: 'controller', look: toolchain },
  departments: { topic: 'site', rules: ['R18'], look: departments },
  smoke: { topic: 'site', rules: ['R15', 'R18'], look: smokeTests },
  grade: { topic: 'site', rules: ['R15', 'R18'], look: gradeWithinReach },
  kit: { topic: 'site', rules: ['R17'], look: kitSource },
  masking: { topic: 'site', rules: ['R23'], look: masking },
  secrets: { topic: 'secrets', look: secretsResolve },
  archiveFolders: { topic: 'archive', rules: ['R14'], look: archiveFolders },
  archiveSpace: { topic: 'archive', rules: ['R12'], look: archiveSpace },
  places: { topic: 'archive', rules: ['R14'], look: onPostgres(backupPlaces) },
  zones: { topic: 'archive', rules: ['R12'], look: zones },
  devices: { topic: 'archive', rules: ['R14', 'R16'], look: devicesApart },
  machine: { topic: 'database', look: liveMachine },
  stopped: { topic: 'database', look: leftStopped },
  reachable: { topic: 'database', look: onPostgres(databaseReachable) },
  version: { topic: 'database', look: onPostgres(databaseVersion) },
  settings: { topic: 'database', rules: ['R2', 'R13', 'R14'], look: onPostgres(databaseSettings) },
  rights: { topic: 'database', look: onPostgres(databaseRights) },
  logArchiving: { topic: 'database', rules: ['R14'], look: onPostgres(logArchiving) },
  spool: { topic: 'database', rules: ['R12', 'R14'], look: onPostgres(logSpool) },
  streams: { topic: 'database', rules: ['R7', 'R14'], look: onPostgres(logStreams) },
  slots: { topic: 'database', rules: ['R11', 'R12'], look: onPostgres(leftSlots) },
  unlogged: { topic: 'database', rules: ['R9'], look: onPostgres(unloggedTables) },
  prepared: { topic: 'database', rules: ['R20'], look: onPostgres(preparedTransactions) },
  clocks: { topic: 'database', look: onPostgres(clocks) },
  oracle: { topic: 'database', look: oracleReachable },
  oracleVersion: { topic: 'database', look: oracleVersion },
  oracleArchiving: { topic: 'database', rules: ['R2', 'R14'], look: oracleArchiving },
  oracleRedo: { topic: 'database', rules: ['R14'], look: oracleRedo },
  oracleDevices: { topic: 'database', rules: ['R14', 'R16'], look: oracleDevices },
  oracleRecoveryArea: { topic: 'database', rules: ['R12'], look: oracleRecoveryArea },
  oracleRestorePoints: { topic: 'database', rules: ['R11', 'R12'], look: oracleRestorePoints },
  oracleBackupMode: { topic: 'database', rules: ['R8'], look: oracleBackupMode },
  oracleLastBackup: { topic: 'database', rules: ['R7', 'R18'], look: oracleLastBackup },
  oracleLogCopies: { topic: 'database', rules: ['R14'], look: oracleLogCopies },
  oracleCorruption: { topic: 'database', rules: ['R15'], look: oracleCorruption },
  oracleUnrecoverable: { topic: 'database', rules: ['R9'], look: oracleUnrecoverable },
  oracleRman: { topic: 'database', rules: ['R10', 'R11'], look: oracleRman },
  oracleRights: { topic: 'database', look: oracleRights },
  stagingName: { topic: 'staging', rules: ['R21'], look: stagingName },
  isolation: { topic: 'staging', rules: ['R21'], look: isolation },
  vsphereReachable: { topic: 'staging', look: vsphereReachable },
  vsphereClone: { topic: 'staging', rules: ['R21'], look: vsphereClone },
  vsphereNetwork: { topic: 'staging', rules: ['R21'], look: vsphereNetwork },
  vsphereDevices: {
    topic: 'staging',
    rules: ['R14', 'R16'],
    look: async (patient) => vsphereDevices(patient),
  },
  vsphereEscapes: { topic: 'staging', rules: ['R18', 'R20'], look: vsphereEscapes },
  vspherePrivileges: { topic: 'staging', rules: ['R21'], look: vspherePrivileges },
  control: { topic: 'state', look: controlFolder },
  pulumiState: { topic: 'state', look: pulumiState },
  locks: { topic: 'state', look: staleLocks },
  port: { topic: 'state', look: listenPort },
} as const satisfies Record<string, Check>;
