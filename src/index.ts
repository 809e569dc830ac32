/**
 * What a program gets from `import … from 'clona'`: the decisions as pure functions of facts (docs/recovery-theory.md
 * names their rules), and the errors they throw.
 */
export { ClonaError, errorTable, type ErrorKind, type ExitCode } from './errors.ts';

export { parsePosition, showPosition, type Position } from './recovery/position.ts';
export type { ArchivedLog, Backup, Catalog, Incarnation, OnlineLog } from './recovery/catalog.ts';
export { parseCatalog } from './recovery/parse-catalog.ts';
export { parseInstant, parseUntil, type Question } from './recovery/question.ts';
export { planRecovery } from './recovery/plan.ts';
export { planToJson, type PlanAnswer } from './recovery/answer.ts';
export { listIncarnations, type IncarnationLine } from './recovery/incarnations.ts';

export { parsePolicy, type Policy } from './retention/policy.ts';
export { decideRetention, type RetentionAnswer } from './retention/retention.ts';
export { decideZone, type ZoneDecision, type ZoneFacts, type ZoneSettings } from './retention/zone.ts';

export { judgeJobLog, type JobLogJudgement } from './proof/job-log.ts';

export { decideGate, type GateDecision } from './gate/gate.ts';
export type { GateFacts, GatePolicy } from './gate/facts.ts';

export { LiveStaging } from '../infra/live-staging.ts';
export type { LiveStagingArgs } from '../infra/staging-args.ts';
export { createStagingByConfig } from '../infra/program.ts';
