/**
 * The only place where error codes are born. A code never changes its meaning and is never used again for
 * another one; the exit code is part of the contract of every verb (docs/ARCHITECTURE.md).
 */

/** 0 done · 1 internal · 2 usage or configuration · 3 gate closed · 4 proof or smoke failed · 5 target
 * unreachable · 6 machine, database, disk or network failed · 7 locked by another run. */
export type ExitCode = 0 | 1 | 2 | 3 | 4 | 5 | 6 | 7 | 130 | 143;

interface ErrorRow {
  code: `CLONA-${string}`;
  exit: ExitCode;
}

export const errorTable = {
  // 00xx: clona itself
  internal: { code: 'CLONA-0001', exit: 1 },
  interrupted: { code: 'CLONA-0002', exit: 130 },
  terminated: { code: 'CLONA-0003', exit: 143 },
  locked: { code: 'CLONA-0007', exit: 7 },

  // 01xx: command line and site file
  usage: { code: 'CLONA-0100', exit: 2 },
  fileUnreadable: { code: 'CLONA-0101', exit: 2 },
  siteInvalid: { code: 'CLONA-0110', exit: 2 },
  secretMissing: { code: 'CLONA-0111', exit: 2 },
  confirmationMissing: { code: 'CLONA-0120', exit: 2 },

  // 02xx: recovery: catalog, plan, retention
  catalogInvalid: { code: 'CLONA-0201', exit: 2 },
  questionInvalid: { code: 'CLONA-0202', exit: 2 },
  targetUnreachable: { code: 'CLONA-0210', exit: 5 },

  // 03xx: archive
  archiveMissing: { code: 'CLONA-0301', exit: 6 },
  archiveDamaged: { code: 'CLONA-0302', exit: 4 },
  archiveForeign: { code: 'CLONA-0303', exit: 4 },
  archiveGap: { code: 'CLONA-0304', exit: 5 },
  archiveAbsent: { code: 'CLONA-0305', exit: 5 },
  diskFull: { code: 'CLONA-0310', exit: 6 },
  sharedDisk: { code: 'CLONA-0311', exit: 2 },

  // 04xx: databases
  databaseFailed: { code: 'CLONA-0401', exit: 6 },
  databaseVersion: { code: 'CLONA-0402', exit: 2 },
  slotUnbounded: { code: 'CLONA-0410', exit: 2 },
  notShutDown: { code: 'CLONA-0411', exit: 6 },
  serverUnfit: { code: 'CLONA-0403', exit: 2 },
  targetOccupied: { code: 'CLONA-0404', exit: 2 },
  recoveryFailed: { code: 'CLONA-0405', exit: 6 },
  targetFailed: { code: 'CLONA-0406', exit: 6 },
  databaseLogin: { code: 'CLONA-0420', exit: 2 },
  databasePrivilege: { code: 'CLONA-0421', exit: 2 },

  // 05xx: machines and guests
  machineFailed: { code: 'CLONA-0501', exit: 6 },
  guestFailed: { code: 'CLONA-0510', exit: 6 },
  hostKeyChanged: { code: 'CLONA-0511', exit: 6 },

  // 06xx: Pulumi and its tools
  toolchainMissing: { code: 'CLONA-0601', exit: 6 },
  pulumiFailed: { code: 'CLONA-0602', exit: 6 },
  policyRefused: { code: 'CLONA-0603', exit: 2 },

  // 07xx: proof, fence, masking
  proofFailed: { code: 'CLONA-0701', exit: 4 },
  jobLogFailed: { code: 'CLONA-0702', exit: 4 },
  jobLogUnknown: { code: 'CLONA-0703', exit: 2 },
  fenceFailed: { code: 'CLONA-0710', exit: 4 },

  // 08xx: kits and smoke tests
  kitInvalid: { code: 'CLONA-0801', exit: 2 },
  kitStepFailed: { code: 'CLONA-0802', exit: 4 },
  kitFetchFailed: { code: 'CLONA-0803', exit: 6 },
  kitUntrusted: { code: 'CLONA-0804', exit: 4 },
  kitUnfit: { code: 'CLONA-0805', exit: 2 },
  kitStepUncertain: { code: 'CLONA-0806', exit: 4 },
  smokeFailed: { code: 'CLONA-0810', exit: 4 },

  // 09xx: gate, sign-off, promotion, evidence
  gateClosed: { code: 'CLONA-0901', exit: 3 },
  signoffRefused: { code: 'CLONA-0902', exit: 3 },
  promotionRolledBack: { code: 'CLONA-0910', exit: 4 },
  evidenceDamaged: { code: 'CLONA-0920', exit: 4 },
} as const satisfies Record<string, ErrorRow>;

export type ErrorKind = keyof typeof errorTable;

export interface ErrorExtras {
  /** What the reader can do about it: one lowercase sentence. */
  hint?: string | undefined;
  cause?: unknown;
  /** Machine-readable facts for `--json`; never secrets. */
  details?: Readonly<Record<string, unknown>> | undefined;
}

/** The one error class of clona. `message` is one lowercase sentence without a full stop. */
export class ClonaError extends Error {
  override readonly name = 'ClonaError';
  readonly kind: ErrorKind;
  readonly hint: string | undefined;
  readonly details: Readonly<Record<string, unknown>> | undefined;

  constructor(kind: ErrorKind, message: string, extras: ErrorExtras = {}) {
    super(message, extras.cause === undefined ? undefined : { cause: extras.cause });
    this.kind = kind;
    this.hint = extras.hint;
    this.details = extras.details;
  }

  get code(): string {
    return errorTable[this.kind].code;
  }

  get exitCode(): ExitCode {
    return errorTable[this.kind].exit;
  }
}

/** Turns anything thrown into a ClonaError; an ENOSPC or EDQUOT anywhere in the causes is `diskFull`. */
export function toClonaError(thrown: unknown): ClonaError {
  if (thrown instanceof ClonaError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  if (isDiskFull(thrown)) {
    return new ClonaError('diskFull', `no space left: ${message}`, {
      cause: thrown,
      hint: 'free space on that disk and run the same command again',
    });
  }
  return new ClonaError('internal', message, { cause: thrown });
}

function isDiskFull(thrown: unknown): boolean {
  for (let error = thrown; error instanceof Error; error = error.cause) {
    if ('code' in error && (error.code === 'ENOSPC' || error.code === 'EDQUOT')) return true;
  }
  return false;
}
