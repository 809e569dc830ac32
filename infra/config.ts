import { z } from 'zod';
import { parseDuration, durationPattern } from '../src/site/units.ts';
import type { LiveStagingArgs } from './staging-args.ts';
import { checkVsphereConfig, toVsphereArgs, vsphereConfig } from './vsphere-config.ts';

const text = z.string().min(1);
const labels = z.record(z.string(), z.string());

/** Every key of `pulumi config`, with what it is for (docs/how-to/pulumi.md lists them). */
export const stagingConfig = z.strictObject({
  platform: z.enum(['local', 'vsphere']).default('local').describe('where the machine runs'),
  name: z
    .string()
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, { error: 'lowercase letters, digits and hyphens' })
    .default('staging')
    .describe('name of the staging machine'),
  source: text.default('live').describe('the production machine that is cloned'),
  root: text.default('.clona/machines').describe('platform local: folder of the staging machines'),
  sourceRoot: text.optional().describe('platform local: folder of the production machine; default: root'),
  isolation: z.enum(['network', 'configuration']).optional().describe('default: network where the host can'),
  expiresAt: z.iso.datetime().optional().describe('when it may be destroyed'),
  timeToLive: z
    .string()
    .regex(durationPattern, { error: 'a duration, like 26h or 7d' })
    .optional()
    .describe('how long after it was made it may be destroyed'),
  protect: z.enum(['true', 'false']).optional().describe('true: never destroyed while this is set'),
  databaseName: text.optional().describe('name of the database in it'),
  databaseUser: text.optional().describe("the database's superuser"),
  labels: z
    .string()
    .transform((value, context) => parseLabels(value, context))
    .optional()
    .describe('a JSON object of texts'),
  ...vsphereConfig,
});

export interface StackConfig {
  /** The project, which every key stands behind: `clona:name`. */
  project: string;
  /** All keys of the stack in clear text. */
  all: Readonly<Record<string, string>>;
  isSecret: (key: string) => boolean;
  /** VSPHERE_PASSWORD is read, where no key holds the password. */
  env: Readonly<Record<string, string | undefined>>;
}

/** Reads and checks all keys of a stack; every mistake at once, one a line. Relative folders count from `folder`. */
export function readStagingConfig({
  project,
  all,
  isSecret,
  env,
}: StackConfig): { args: LiveStagingArgs } | { mistakes: string } {
  const given = Object.entries(all)
    .filter(([key]) => key.startsWith(`${project}:`))
    .map(([key, value]) => [key.slice(project.length + 1), value]);
  const values: Record<string, unknown> = Object.fromEntries(given);
  const parsed = stagingConfig.safeParse(values);
  const between = checkVsphereConfig(values, (key) => isSecret(`${project}:${key}`), env);
  if (values['expiresAt'] !== undefined && values['timeToLive'] !== undefined) {
    between.push({ key: 'timeToLive', problem: `is given beside ${project}:expiresAt` });
  }
  const mistakes = [
    ...(parsed.success ? [] : parsed.error.issues.map((issue) => showIssue(project, issue))),
    ...between.map(({ key, problem }) => `  ${project}:${key}: ${problem}`),
  ];
  if (!parsed.success || mistakes.length > 0) return { mistakes: mistakes.join('\n') };
  return { args: toArgs(parsed.data, env) };
}

function toArgs(values: z.infer<typeof stagingConfig>, env: StackConfig['env']): LiveStagingArgs {
  const { platform, name, source, root, sourceRoot, isolation, expiresAt, timeToLive, protect } = values;
  return {
    platform,
    name,
    source,
    isolation,
    expiresAt,
    timeToLiveMs: timeToLive === undefined ? undefined : parseDuration(timeToLive),
    protect: protect === 'true',
    labels: values.site === undefined ? values.labels : { site: values.site, ...values.labels },
    database: { name: values.databaseName, user: values.databaseUser },
    ...(platform === 'vsphere' ? { vsphere: toVsphereArgs(values, env) } : { local: { root, sourceRoot } }),
  };
}

function showIssue(project: string, issue: z.core.$ZodIssue): string {
  if (issue.code === 'unrecognized_keys') {
    const known = Object.keys(stagingConfig.shape).join(', ');
    return issue.keys.map((key) => `  ${project}:${key}: unknown key; allowed: ${known}`).join('\n');
  }
  return `  ${project}:${issue.path.join('.')}: ${issue.message}`;
}

function parseLabels(value: string, context: z.core.$RefinementCtx): Record<string, string> {
  try {
    return labels.parse(JSON.parse(value));
  } catch {
    context.addIssue({ code: 'custom', message: 'a JSON object of texts, like {"site":"erp"}' });
    return {};
  }
}
