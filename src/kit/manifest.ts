import { z } from 'zod';
import { parseTimeout } from './duration.ts';
import { checkEntryPath } from './paths.ts';

export const manifestFile = 'kit.yaml';
const defaultTimeoutMs = 600_000;

interface StepCommon {
  /** Unique within the kit; in the ledger, the gate and the progress. */
  name: string;
  timeoutMs: number;
  /** May be run again after an attempt of which nobody knows how far it came. */
  repeatable: boolean;
}

export type KitStep =
  | (StepCommon & { kind: 'sql'; file: string; transaction: boolean; lockTimeoutMs: number | null })
  | (StepCommon & {
      kind: 'sqlplus';
      file: string;
      client: 'sqlplus' | 'sqlcl';
      /** Whether & in the script asks for a variable, as SQL*Plus does by itself. */
      define: boolean;
      /** Owner of what has no owner in front of its name; undefined: the application's first schema. */
      schema?: string | undefined;
      /** Codes that the script passes over and the kit knows of: ORA-00942 … */
      tolerate: string[];
    })
  | (StepCommon & { kind: 'run'; command: { argv: string[] } | { script: string } })
  | (StepCommon & { kind: 'service'; action: ServiceAction; service: string })
  | (StepCommon & { kind: 'files'; from: string; to: string; replace: boolean });

export type ServiceAction = 'start' | 'stop' | 'restart';

export interface KitManifest {
  name: string;
  version: string;
  /** Versions this kit upgrades from: exact, or with `*` at the end ("2.*", "*"); empty: any. */
  fromVersions: string[];
  description: string | null;
  /** Where the program keeps its version, relative to the system disk; written when every step is done. */
  versionFile: string;
  steps: KitStep[];
}

const title = (what: string) => ({ error: `expected ${what}` });

const timeout = z
  .union([z.string(), z.number()], title('a time like 90s, 5m or 1h'))
  .transform((value, context) => {
    const ms = parseTimeout(value);
    if (ms !== undefined) return ms;
    context.addIssue({
      code: 'custom',
      message: 'expected a time like 90s, 5m or 1h, or a number of seconds',
    });
    return z.NEVER;
  });

const insidePath = z.string(title('a path')).transform((value, context) => {
  try {
    return checkEntryPath(value, 64);
  } catch (error) {
    context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'is no path' });
    return z.NEVER;
  }
});

const filesSource = z.union(
  [
    insidePath.transform((path) => ({ from: path, to: path, replace: false })),
    z.strictObject({
      from: insidePath,
      to: insidePath,
      replace: z.boolean(title('true or false')).default(false),
    }),
  ],
  title('a path of the kit, or { from, to, replace }'),
);

const service = z
  .string(title('start, stop or restart and the name of a service'))
  .transform((value, context) => {
    const [, action, name] =
      /^(start|stop|restart)\s+([A-Za-z0-9][A-Za-z0-9@._-]*)$/.exec(value.trim()) ?? [];
    if (action !== undefined && name !== undefined) return { action: action as ServiceAction, service: name };
    context.addIssue({
      code: 'custom',
      message: 'expected start, stop or restart and the name of a service',
    });
    return z.NEVER;
  });

/** As in SQL: without quotes in any case, in double quotes its very letters. */
const schemaName = z
  .string(title('the name of a schema'))
  .regex(
    /^(?:\p{L}[\p{L}\p{N}_$#]{0,127}|"[^"\p{Cc}]{1,128}")$/u,
    'expected the name of a schema, like ERP or "Erp" in double quotes',
  )
  .transform((name) => (name.startsWith('"') ? name.slice(1, -1) : name.toUpperCase()));

const scriptOptions = z.strictObject({
  file: insidePath,
  schema: schemaName.optional(),
  define: z.boolean(title('true or false')).default(false),
  tolerate: z
    .array(
      z
        .string(title('a code like ORA-00942'))
        .regex(/^(?:ORA-\d{5}|SP2-\d{4}|PLS-\d{5})$/, 'expected a code like ORA-00942'),
      title('a list of codes'),
    )
    .default([]),
});

const sqlplus = z.union(
  [
    insidePath.transform((file) => ({ file, client: 'sqlplus' as const, define: false, tolerate: [] })),
    scriptOptions.extend({
      client: z.enum(['sqlplus', 'sqlcl'], title('sqlplus or sqlcl')).default('sqlplus'),
    }),
  ],
  title('a path of the kit, or { file, client, define, tolerate }'),
);

const sqlcl = z.union(
  [
    insidePath.transform((file) => ({ file, client: 'sqlcl' as const, define: false, tolerate: [] })),
    scriptOptions.transform((options) => ({ ...options, client: 'sqlcl' as const })),
  ],
  title('a path of the kit, or { file, define, tolerate }'),
);

const run = z.union(
  [
    z
      .array(z.string(title('a text')))
      .min(1, 'expected a command and its arguments')
      .transform((argv) => ({ argv })),
    z
      .string()
      .min(1, 'expected a command')
      .transform((script) => ({ script })),
  ],
  title('a list (a command and its arguments) or a text (a script for sh)'),
);

const step = z
  .strictObject({
    name: z.string(title('a text')).min(1).max(120).optional(),
    sql: insidePath.optional(),
    sqlplus: sqlplus.optional(),
    sqlcl: sqlcl.optional(),
    run: run.optional(),
    service: service.optional(),
    files: filesSource.optional(),
    timeout: timeout.optional(),
    repeatable: z.boolean(title('true or false')).optional(),
    transaction: z.boolean(title('true or false')).optional(),
    lockTimeout: timeout.optional(),
  })
  .superRefine((value, context) => {
    const kinds = (['sql', 'sqlplus', 'sqlcl', 'run', 'service', 'files'] as const).filter(
      (kind) => value[kind] !== undefined,
    );
    if (kinds.length !== 1) {
      const found = kinds.length === 0 ? 'none' : kinds.join(' and ');
      const message = `a step is exactly one of sql, sqlplus, sqlcl, run, service and files; this one is ${found}`;
      context.addIssue({ code: 'custom', message });
    }
    for (const key of ['transaction', 'lockTimeout'] as const) {
      if (value[key] === undefined || value.sql !== undefined) continue;
      context.addIssue({ code: 'custom', path: [key], message: `${key} belongs to sql steps only` });
    }
  });

type StepInput = z.output<typeof step>;

const versionText = (what: string) =>
  z
    .string(title(`${what} in quotes`))
    .regex(/^[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}$/, `expected ${what}, like "2.1"`);

const fromVersion = z
  .string(title('a version in quotes'))
  .regex(
    /^(?:[0-9A-Za-z][0-9A-Za-z.+_-]{0,63}|(?:[0-9A-Za-z][0-9A-Za-z.+_-]{0,61}\.)?\*)$/,
    'expected a version, like "2.0" or "2.*"',
  );

export const manifestSchema = z
  .strictObject({
    name: z
      .string(title('a name'))
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'expected letters, digits, ".", "_", "-"'),
    version: versionText('a version'),
    fromVersions: z.array(fromVersion, title('a list of versions')).default([]),
    description: z.string(title('a text')).optional(),
    versionFile: insidePath.default('VERSION'),
    steps: z.array(step, title('a list of steps')).min(1, 'expected at least one step'),
  })
  .superRefine((value, context) => {
    const seen = new Set<string>();
    for (const [index, input] of value.steps.entries()) {
      const name = stepName(input, index);
      if (seen.has(name)) {
        context.addIssue({
          code: 'custom',
          path: ['steps', index],
          message: `a second step named "${name}"`,
        });
      }
      seen.add(name);
    }
  })
  .transform((value): KitManifest => ({
    ...value,
    description: value.description ?? null,
    steps: value.steps.map((input, index) => toStep(input, index)),
  }));

function stepName(input: StepInput, index: number): string {
  if (input.name !== undefined) return input.name;
  if (input.sql !== undefined) return `sql ${input.sql}`;
  if (input.sqlplus !== undefined) return `sqlplus ${input.sqlplus.file}`;
  if (input.sqlcl !== undefined) return `sqlcl ${input.sqlcl.file}`;
  if (input.service !== undefined) return `${input.service.action} ${input.service.service} (${index + 1})`;
  if (input.files !== undefined) return `files ${input.files.to}`;
  return `run ${index + 1}`;
}

function toStep(input: StepInput, index: number): KitStep {
  const common = { name: stepName(input, index), timeoutMs: input.timeout ?? defaultTimeoutMs };
  if (input.sql !== undefined) {
    const transaction = input.transaction ?? true;
    const lockTimeoutMs = input.lockTimeout ?? null;
    return {
      ...common,
      kind: 'sql',
      file: input.sql,
      transaction,
      lockTimeoutMs,
      repeatable: input.repeatable ?? false,
    };
  }
  if (input.sqlplus !== undefined) {
    return { ...common, kind: 'sqlplus', ...input.sqlplus, repeatable: input.repeatable ?? false };
  }
  if (input.sqlcl !== undefined) {
    return { ...common, kind: 'sqlplus', ...input.sqlcl, repeatable: input.repeatable ?? false };
  }
  if (input.run !== undefined) {
    return { ...common, kind: 'run', command: input.run, repeatable: input.repeatable ?? false };
  }
  // Starting what runs and putting the same files twice change nothing.
  if (input.service !== undefined) {
    return { ...common, kind: 'service', ...input.service, repeatable: input.repeatable ?? true };
  }
  if (input.files !== undefined) {
    return { ...common, kind: 'files', ...input.files, repeatable: input.repeatable ?? true };
  }
  throw new Error('a step of no kind passed the check'); // superRefine refused it before
}

/** Whether a program of version `current` may be upgraded by a kit with these fromVersions. */
export function servesVersion(fromVersions: readonly string[], current: string): boolean {
  if (fromVersions.length === 0) return true;
  return fromVersions.some((from) =>
    from.endsWith('*') ? current.startsWith(from.slice(0, -1)) : from === current,
  );
}
