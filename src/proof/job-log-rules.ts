/**
 * What each code in the log of expdp, impdp, exp, imp or RMAN means for the proof (R15). Codes are the same in
 * every language of the tools. Source of the meanings: Oracle Database Error Messages; Oracle Database Utilities,
 * chapters Data Pump Export, Data Pump Import, Original Export, Original Import; Backup and Recovery Reference.
 *
 *   fatal     the job did not run or stopped: failed even where no closing line follows
 *   missing   a table, row, dump part or user that was asked for is not there: failed
 *   byObject  decided by the object type that failed: TABLE, TABLE_DATA, USER are missing, others a warning
 *   byStatement  decided by the statement that failed (CREATE TABLE, CREATE USER, INSERT: missing)
 *   notice    something to look at, nothing missing: warning
 *   detail    explains the code above it; alone it counts as missing
 *   frame     decoration
 */
export type JobLogEffect = 'fatal' | 'missing' | 'byObject' | 'byStatement' | 'notice' | 'detail' | 'frame';

interface JobLogRule {
  effect: JobLogEffect;
  meaning: string;
}

/** A code that is not in the table: missing, because success needs a log without errors we cannot explain. */
export const unknownRule: JobLogRule = { effect: 'missing', meaning: 'an error whose harm is not known' };

/** Statistics are gathered again; the rows are all there. A job that ends of it says so in its closing line. */
export const statisticsRule: JobLogRule = {
  effect: 'notice',
  meaning: 'statistics could not be moved: gather them again',
};

/** `ORA-39126: … KUPW$WORKER.STATS_LOAD [MARKER]`: the name of the routine is the same in every language. */
export function isStatisticsOnly(code: string, line: string): boolean {
  return /^ORA-3912[56]$/.test(code) && /\bKUPW\$WORKER\.(?:STATS_(?:UN)?LOAD|GET_TABLE_STAT)/.test(line);
}

const dataPumpRules = {
  'ORA-31684': { effect: 'notice', meaning: 'the object exists already' },
  'ORA-39082': { effect: 'notice', meaning: 'created with compilation warnings' },
  'ORA-39083': { effect: 'byObject', meaning: 'the object was not created' },
  'ORA-31685': { effect: 'byObject', meaning: 'the object failed for lack of privileges' },
  'ORA-39111': { effect: 'notice', meaning: 'dependent object skipped, its base object exists already' },
  'ORA-39112': { effect: 'byObject', meaning: 'dependent object skipped, its base object was not created' },
  'ORA-31697': { effect: 'fatal', meaning: 'the job was broken off at one of its steps' },
  'ORA-31693': { effect: 'missing', meaning: "a table's data failed and was skipped" },
  'ORA-31696': { effect: 'missing', meaning: "a table's data cannot be moved by the method asked for" },
  'ORA-31617': { effect: 'fatal', meaning: 'the dump file cannot be opened for writing' },
  'ORA-31619': { effect: 'fatal', meaning: 'not a valid dump file' },
  'ORA-31626': { effect: 'fatal', meaning: 'the job does not exist' },
  'ORA-31631': { effect: 'fatal', meaning: 'privileges are required' },
  'ORA-31633': { effect: 'fatal', meaning: 'the master table could not be created' },
  'ORA-31634': { effect: 'fatal', meaning: 'the job exists already' },
  'ORA-31635': { effect: 'fatal', meaning: 'the job could not get its resources' },
  'ORA-31637': { effect: 'fatal', meaning: 'the job could not be created' },
  'ORA-31638': { effect: 'fatal', meaning: 'the job could not be attached' },
  'ORA-31640': { effect: 'fatal', meaning: 'a dump file could not be opened: a part of the set is missing' },
  'ORA-31641': { effect: 'fatal', meaning: 'the dump file could not be created' },
  'ORA-31642': { effect: 'detail', meaning: 'a statement of the job failed' },
  'ORA-31644': { effect: 'fatal', meaning: 'the dump file could not be positioned' },
  'ORA-31655': { effect: 'missing', meaning: 'nothing was selected: what was asked for is not there' },
  'ORA-31671': { effect: 'fatal', meaning: 'a worker met an unhandled exception' },
  'ORA-31672': { effect: 'fatal', meaning: 'a worker died' },
  'ORA-31679': { effect: 'missing', meaning: 'a table with long columns cannot be moved by this method' },
  'ORA-39000': { effect: 'fatal', meaning: 'bad dump file specification' },
  'ORA-39001': { effect: 'fatal', meaning: 'invalid argument' },
  'ORA-39002': { effect: 'fatal', meaning: 'invalid operation' },
  'ORA-39006': { effect: 'fatal', meaning: 'internal error of the job' },
  'ORA-39012': { effect: 'fatal', meaning: 'the client detached before the job started' },
  'ORA-39014': { effect: 'fatal', meaning: 'workers exited before their time' },
  'ORA-39022': { effect: 'fatal', meaning: 'database version not supported' },
  'ORA-39029': { effect: 'fatal', meaning: 'a worker was terminated' },
  'ORA-39038': { effect: 'missing', meaning: 'an object path is not supported' },
  'ORA-39050': { effect: 'fatal', meaning: 'a parameter is incompatible' },
  'ORA-39059': { effect: 'fatal', meaning: 'the dump file set is incomplete' },
  'ORA-39065': { effect: 'fatal', meaning: 'the master process stopped unexpectedly' },
  'ORA-39068': { effect: 'fatal', meaning: 'the master table holds invalid data' },
  'ORA-39070': { effect: 'fatal', meaning: 'the log file cannot be opened' },
  'ORA-39086': { effect: 'fatal', meaning: "the job's information cannot be read" },
  'ORA-39087': { effect: 'fatal', meaning: 'the directory object is invalid' },
  'ORA-39095': { effect: 'fatal', meaning: 'the dump file space is used up' },
  'ORA-39097': { effect: 'fatal', meaning: 'the job met an unexpected error' },
  'ORA-39099': { effect: 'fatal', meaning: 'the work item could not be processed' },
  'ORA-39094': { effect: 'fatal', meaning: 'parallel execution is not in this edition' },
  'ORA-39117': { effect: 'missing', meaning: 'a table was not created: a type that it needs is missing' },
  'ORA-39123': { effect: 'fatal', meaning: 'the transportable job was broken off' },
  'ORA-39185': { effect: 'detail', meaning: 'why tablespaces cannot be transported' },
  'ORA-39120': { effect: 'missing', meaning: 'the table could not be truncated, its data is skipped' },
  'ORA-39121': { effect: 'missing', meaning: 'the table could not be replaced, its data is skipped' },
  'ORA-39125': { effect: 'fatal', meaning: 'a worker met a fatal error' },
  'ORA-39126': { effect: 'fatal', meaning: 'a worker met a fatal error' },
  'ORA-39127': { effect: 'notice', meaning: 'a procedural action failed' },
  'ORA-39129': { effect: 'missing', meaning: 'an object table cannot be imported: its type is missing' },
  'ORA-39139': { effect: 'missing', meaning: 'the object is not supported and is skipped' },
  'ORA-39140': { effect: 'missing', meaning: 'the dump file does not belong to the job' },
  'ORA-39142': { effect: 'fatal', meaning: 'the dump file is of a newer version' },
  'ORA-39143': { effect: 'fatal', meaning: 'the dump was written by the original exp' },
  'ORA-39144': { effect: 'fatal', meaning: 'a file name parameter is missing' },
  'ORA-39148': { effect: 'missing', meaning: 'data cannot go into an existing queue table' },
  'ORA-39151': { effect: 'missing', meaning: 'the table exists already: all its rows were skipped' },
  'ORA-39152': {
    effect: 'notice',
    meaning: 'the table exists already: rows appended, dependent metadata skipped',
  },
  'ORA-39153': { effect: 'notice', meaning: 'the table exists already: truncated and loaded' },
  'ORA-39154': { effect: 'notice', meaning: 'objects of other schemas were left out' },
  'ORA-39165': { effect: 'missing', meaning: 'a schema that was asked for was not found' },
  'ORA-39166': { effect: 'missing', meaning: 'an object that was asked for was not found' },
  'ORA-39167': { effect: 'missing', meaning: 'a tablespace that was asked for was not found' },
  'ORA-39168': { effect: 'missing', meaning: 'an object path was not found' },
  'ORA-39171': { effect: 'notice', meaning: 'the job waited for space (resumable) and went on' },
  'ORA-39173': { effect: 'notice', meaning: 'encrypted data was written in clear text' },
  'ORA-39174': { effect: 'fatal', meaning: 'the encryption password is missing' },
  'ORA-39176': { effect: 'fatal', meaning: 'the encryption password is wrong' },
  'ORA-39180': { effect: 'fatal', meaning: 'the encryption password could not be used' },
  'ORA-39181': { effect: 'missing', meaning: 'fine grained access control may have hidden rows' },
  'ORA-39188': { effect: 'fatal', meaning: 'the dump file set cannot be encrypted' },
  'ORA-39189': { effect: 'fatal', meaning: 'the dump file set cannot be read' },
  'ORA-39203': { effect: 'fatal', meaning: 'partition selection is not supported' },
  'ORA-39219': { effect: 'fatal', meaning: 'the directory object is too long or wrong' },
  'ORA-39246': {
    effect: 'fatal',
    meaning: 'the master table is in none of the dump files: a part is missing',
  },
  'ORA-39325': { effect: 'missing', meaning: 'the existing table does not fit, its data is skipped' },
  'ORA-39342': { effect: 'notice', meaning: 'internal objects of an option were not imported' },
  'ORA-39346': { effect: 'notice', meaning: 'characters of metadata were lost in conversion' },
  'ORA-39357': { effect: 'notice', meaning: 'connected to the root of a container database' },
  'ORA-39358': { effect: 'fatal', meaning: 'the version of the dump file is not supported' },
  'ORA-39395': { effect: 'notice', meaning: 'a password must be set again after the import' },
  'ORA-39396': { effect: 'notice', meaning: 'encrypted data was written in clear text' },
  'ORA-39405': { effect: 'fatal', meaning: 'the time zone file of the source is newer than the one here' },
  'ORA-39411': { effect: 'fatal', meaning: 'the header of a dump file is damaged' },
  'ORA-39412': { effect: 'fatal', meaning: 'a dump file is damaged: its checksum differs' },
  'ORA-39464': { effect: 'notice', meaning: 'only servers from 23 on read this dump' },
  'ORA-39384': { effect: 'notice', meaning: 'the user was created locked, its password expired' },
  'ORA-02354': { effect: 'missing', meaning: 'error in moving data' },
  'ORA-02372': { effect: 'detail', meaning: 'the data of the rejected row' },
  'ORA-02373': { effect: 'missing', meaning: 'a row could not be parsed' },
  'ORA-02374': { effect: 'missing', meaning: 'a row was rejected: conversion error' },
  'ORA-02375': { effect: 'missing', meaning: 'a row was rejected' },
  'ORA-29913': { effect: 'detail', meaning: 'external table call failed' },
  'ORA-30032': { effect: 'missing', meaning: 'a suspended statement ran into its timeout' },
  'ORA-01555': { effect: 'missing', meaning: 'snapshot too old: rows were not exported' },
} as const satisfies Record<string, JobLogRule>;

const originalRules = {
  'EXP-00000': { effect: 'fatal', meaning: 'the export ended without success' },
  'EXP-00002': { effect: 'fatal', meaning: 'the export file could not be written' },
  'EXP-00067': { effect: 'notice', meaning: 'direct path not possible, the conventional path was taken' },
  'EXP-00078': { effect: 'notice', meaning: 'metadata of an index could not be read' },
  'EXP-00079': { effect: 'missing', meaning: 'the table is protected: only a part of its rows may be there' },
  'EXP-00080': { effect: 'notice', meaning: 'the table is protected, the conventional path was taken' },
  'EXP-00083': { effect: 'detail', meaning: 'where the previous problem arose' },
  'EXP-00091': { effect: 'notice', meaning: 'questionable statistics' },
  'EXP-00105': { effect: 'notice', meaning: 'CONSISTENT is not supported for this user' },
  'EXP-00106': { effect: 'notice', meaning: "a database link's password was not exported" },
  'EXP-00112': { effect: 'notice', meaning: 'an index could not be exported' },
  'EXP-00008': { effect: 'missing', meaning: 'an Oracle error while exporting' },
  'EXP-00003': { effect: 'missing', meaning: 'a table without a segment was left out' },
  'EXP-00010': { effect: 'missing', meaning: 'a user that was asked for does not exist' },
  'EXP-00011': { effect: 'missing', meaning: 'a table that was asked for does not exist' },
  'EXP-00056': { effect: 'missing', meaning: 'an Oracle error while exporting' },
  'IMP-00000': { effect: 'fatal', meaning: 'the import ended without success' },
  'IMP-00003': { effect: 'detail', meaning: 'an Oracle error' },
  'IMP-00008': { effect: 'missing', meaning: 'an unknown statement in the export file' },
  'IMP-00009': { effect: 'missing', meaning: 'the export file ends too early' },
  'IMP-00015': { effect: 'byStatement', meaning: 'the object exists already, the statement was not run' },
  'IMP-00017': { effect: 'byStatement', meaning: 'a statement failed' },
  'IMP-00018': { effect: 'missing', meaning: 'only a part of the table was imported' },
  'IMP-00019': { effect: 'missing', meaning: 'a row was rejected' },
  'IMP-00028': { effect: 'missing', meaning: 'the rows of the table were rolled back' },
  'IMP-00033': { effect: 'missing', meaning: 'a table that was asked for is not in the file' },
  'IMP-00034': { effect: 'missing', meaning: 'a user that was asked for is not in the file' },
  'IMP-00041': { effect: 'notice', meaning: 'created with compilation warnings' },
  'IMP-00046': { effect: 'notice', meaning: 'FILESIZE was taken from the file' },
  'IMP-00057': { effect: 'missing', meaning: 'the file may not hold every partition' },
  'IMP-00058': { effect: 'missing', meaning: 'an Oracle error while importing' },
  'IMP-00060': { effect: 'missing', meaning: 'a table was skipped' },
  'IMP-00061': { effect: 'notice', meaning: 'a type exists already with another identifier' },
  'IMP-00063': { effect: 'missing', meaning: 'a table was skipped: its type is missing' },
  'IMP-00088': { effect: 'notice', meaning: 'metadata of an index could not be imported' },
  'IMP-00091': { effect: 'notice', meaning: 'a procedural action failed' },
  'IMP-00403': { effect: 'notice', meaning: 'DDL that lacked a privilege was written to a file' },
} as const satisfies Record<string, JobLogRule>;

const rmanRules = {
  'RMAN-00569': { effect: 'frame', meaning: 'an error stack follows' },
  'RMAN-00571': { effect: 'frame', meaning: 'a line around the error stack' },
  'RMAN-00554': { effect: 'fatal', meaning: 'RMAN could not start' },
  'RMAN-00558': { effect: 'fatal', meaning: 'the command file could not be parsed' },
  'RMAN-04005': { effect: 'fatal', meaning: 'the target database refused the connection' },
  'RMAN-04014': { effect: 'fatal', meaning: 'the instance did not start' },
  'RMAN-06054': { effect: 'missing', meaning: 'recovery asked for a log that is not known' },
  'RMAN-06060': { effect: 'missing', meaning: 'a datafile was skipped' },
  'RMAN-06061': { effect: 'missing', meaning: 'an archived log was skipped' },
  'RMAN-06207': { effect: 'notice', meaning: 'objects could not be deleted: status differs' },
  'RMAN-06208': { effect: 'notice', meaning: 'objects could not be deleted: status differs' },
  'RMAN-06210': { effect: 'notice', meaning: 'list of objects whose status differs' },
  'RMAN-06211': { effect: 'notice', meaning: 'list of objects whose status differs' },
  'RMAN-06212': { effect: 'notice', meaning: 'list of objects whose status differs' },
  'RMAN-06213': { effect: 'notice', meaning: 'list of objects whose status differs' },
  'RMAN-06214': { effect: 'notice', meaning: 'list of objects whose status differs' },
  'RMAN-06497': { effect: 'notice', meaning: 'the control file is not current, autobackup left out' },
  'RMAN-06820': { effect: 'notice', meaning: 'the current log was not archived at the primary' },
  'RMAN-06908': { effect: 'notice', meaning: 'will not run in parallel' },
  'RMAN-06909': { effect: 'notice', meaning: 'will not run in parallel' },
  'RMAN-05529': { effect: 'notice', meaning: 'a file name conversion is in the way' },
  'RMAN-08120': { effect: 'notice', meaning: 'an archived log was kept: not yet applied' },
  'RMAN-08137': { effect: 'notice', meaning: 'an archived log was kept: needed elsewhere' },
  'RMAN-08138': { effect: 'notice', meaning: 'an archived log was kept: more backups needed' },
  'RMAN-08139': {
    effect: 'notice',
    meaning: 'an archived log was kept: needed for a guaranteed restore point',
  },
  'RMAN-08591': { effect: 'notice', meaning: 'the deletion policy for archived logs is invalid' },
} as const satisfies Record<string, JobLogRule>;

const rules: ReadonlyMap<string, JobLogRule> = new Map<string, JobLogRule>(
  Object.entries({ ...dataPumpRules, ...originalRules, ...rmanRules }),
);

/** The rule of a code; undefined when it is not in the table. */
export function findRule(code: string): JobLogRule | undefined {
  const rule = rules.get(code);
  if (rule !== undefined) return rule;
  // The command-line clients of Data Pump and its parameter parser: the job never ran, or the client lost it.
  if (/^(?:UDE|UDI|LRM)-/.test(code)) return { effect: 'fatal', meaning: 'the command line client failed' };
  return undefined;
}
