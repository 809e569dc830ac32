import { ClonaError, type ErrorKind } from '../../../errors.ts';
import type { JobLogJudgement } from '../../../proof/job-log.ts';

interface Reason {
  codes: readonly string[];
  kind: ErrorKind;
  what: string;
  hint: string;
}

/**
 * What hinders an import, by the codes of its log, the same in every language. The first row that is met counts: a full disk behind
 * a table that failed says more than the table. Source: Oracle Database Error Messages; Utilities, Data Pump Import.
 */
const reasons: readonly Reason[] = [
  {
    codes: ['ORA-01017', 'ORA-28000', 'ORA-28001', 'ORA-01045'],
    kind: 'databaseLogin',
    what: 'the user who imports may not log on',
    hint: 'look at database.user and the secret that database.password names',
  },
  {
    codes: ['ORA-39142', 'ORA-39358', 'ORA-39022', 'IMP-00010'],
    kind: 'databaseVersion',
    what: 'the dump was written by a newer version than this server reads',
    hint: 'export with VERSION= of this server, or import into a newer one; a dump of the original exp is read by imp alone',
  },
  {
    codes: ['ORA-39405'],
    kind: 'serverUnfit',
    what: 'the time zone file of production is newer than the one of this server',
    hint: 'apply the same DST patch here (DBMS_DST), or import into a server that has it',
  },
  {
    codes: ['ORA-39174', 'ORA-39180'],
    kind: 'secretMissing',
    what: 'the dump is encrypted and its password was not given',
    hint: 'give the ENCRYPTION_PASSWORD of the export as env:NAME or file:PATH',
  },
  {
    codes: ['ORA-39176', 'ORA-39189'],
    kind: 'secretMissing',
    what: 'the password of the encrypted dump is another one',
    hint: 'look up which ENCRYPTION_PASSWORD the export was given',
  },
  {
    codes: ['ORA-28365', 'ORA-28362', 'ORA-39188'],
    kind: 'secretMissing',
    what: 'the dump needs the keystore of production, and it is not open here',
    hint: "copy production's keystore apart from the dump, and open it on this server",
  },
  {
    codes: ['ORA-27046', 'ORA-39411', 'ORA-39412', 'ORA-39376'],
    kind: 'proofFailed',
    what: 'a dump file is cut off or damaged',
    hint: 'compare its checksum with the original on the machine that exported, and copy it again',
  },
  {
    codes: ['ORA-39246', 'ORA-39059', 'ORA-31640', 'ORA-39140', 'IMP-00009'],
    kind: 'proofFailed',
    what: 'the dump set is incomplete',
    hint: 'find the missing part on the machine that exported, or prove an older export',
  },
  {
    codes: ['ORA-31619', 'ORA-39143', 'ORA-31644'],
    kind: 'proofFailed',
    what: 'a file is no dump of Data Pump, or is damaged',
    hint: 'a dump of the original exp is read by imp; compare the checksum with the original',
  },
  {
    codes: [
      'ORA-01653',
      'ORA-01654',
      'ORA-01652',
      'ORA-01658',
      'ORA-01659',
      'ORA-01688',
      'ORA-01536',
      'ORA-30036',
      'ORA-01119',
      'ORA-27072',
      'ORA-19502',
      'ORA-39171',
      'ORA-30032',
    ],
    kind: 'diskFull',
    what: 'there is no room for the copy',
    hint: 'a tablespace, a quota, the undo or a disk is full: make room and run the import again',
  },
  {
    codes: ['ORA-00959'],
    kind: 'siteInvalid',
    what: 'a tablespace that the dump names is not here',
    hint: 'name one for it in the remapping of tablespaces, or create it',
  },
  {
    codes: ['ORA-01950'],
    kind: 'siteInvalid',
    what: 'the dump names a tablespace in which the copy has no quota',
    hint: 'name it in the remapping of tablespaces: every tablespace of the schema needs one of the copies',
  },
  {
    codes: ['ORA-39070', 'ORA-39087', 'ORA-29283'],
    kind: 'siteInvalid',
    what: 'the directory of the dump cannot be used',
    hint: 'the DIRECTORY object must name a folder that the server itself can read and write, with READ and WRITE granted',
  },
  {
    codes: ['ORA-31631', 'ORA-39122', 'ORA-01031', 'ORA-31685'],
    kind: 'databasePrivilege',
    what: 'the user who imports lacks a privilege',
    hint: 'GRANT DATAPUMP_IMP_FULL_DATABASE TO the user of clona',
  },
  {
    codes: ['ORA-12899'],
    kind: 'proofFailed',
    what: 'texts outgrow their columns: the character sets differ',
    hint: 'import into a database of the same character set as production',
  },
];

/** The error that a judged log means; undefined: the log is fine. */
export function importFailure(judgement: JobLogJudgement, log: string): ClonaError | undefined {
  const { verdict, errors, findings } = judgement;
  if (verdict === 'ok' || verdict === 'warning') return undefined;
  const seen = new Set([...errors, ...codesIn(findings.map(({ text }) => text).join('\n')), ...codesIn(log)]);
  const reason = reasons.find(({ codes }) => codes.some((code) => seen.has(code)));
  const first = findings.find(({ effect }) => effect === 'failed');
  const details = { verdict, errors: errors.slice(0, 20), findings: findings.slice(0, 20) };
  if (reason !== undefined) {
    const code = reason.codes.find((one) => seen.has(one));
    return new ClonaError(reason.kind, `the import failed: ${reason.what} (${code})`, {
      hint: reason.hint,
      details,
    });
  }
  if (verdict === 'incomplete') {
    return new ClonaError('jobLogFailed', 'the log of the import has no closing line: the job did not end', {
      hint: 'look for the job in DBA_DATAPUMP_JOBS and for the reason in the alert log',
      details,
    });
  }
  return new ClonaError(
    'jobLogFailed',
    `the import failed: ${first?.meaning ?? 'its log says so'}${first?.code === null || first === undefined ? '' : ` (${first.code})`}`,
    {
      hint: 'the findings name the lines of the log',
      details,
    },
  );
}

/** Why a call of DBMS_DATAPUMP was refused, before there is a log. */
export function refusedCall(said: string, cause: unknown): ClonaError {
  const seen = new Set(codesIn(said));
  const reason = reasons.find(({ codes }) => codes.some((code) => seen.has(code)));
  const line =
    said
      .split('\n')
      .find((text) => text.trim() !== '')
      ?.trim() ?? 'no reason given';
  if (reason === undefined) {
    return new ClonaError('databaseFailed', `the import was refused: ${line}`, { cause, details: { said } });
  }
  return new ClonaError(reason.kind, `the import was refused: ${reason.what}`, {
    hint: reason.hint,
    cause,
    details: { said },
  });
}

/** Codes at the beginning of lines: those inside of a sentence may only be quoted. */
function codesIn(text: string): string[] {
  return [...text.matchAll(/^(?:[^\n"']{0,40}: )?\s*((?:ORA|IMP)-\d{5})\b/gm)].map((match) => match[1] ?? '');
}
