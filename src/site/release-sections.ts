import { z } from 'zod';
import { duration, flag, path, schedule as cron, secret, text, timeOfDay, timeZone } from './fields.ts';

/** The sections that say what happens: kit, smoke tests, promotion, schedule, messages, control. */

export const kit = (folder: string) =>
  z
    .strictObject({
      source: text('where kits come from: a folder, zip or tar, or an https, http or ftp address').optional(),
      sha256: z
        .string()
        .regex(/^[0-9a-f]{64}$/)
        .optional()
        .meta({
          title: 'a SHA-256 in 64 small hex digits',
          description: 'the hash expected; http and ftp need it',
        }),
      publicKey: path(folder, "the vendor's ed25519 public key (PEM); then kits must be signed").optional(),
      user: text('the user at the ftp or https server').optional(),
      password: secret(folder, 'password of user').optional(),
      timeout: duration('fetching ends after this time').prefault('30m'),
    })
    .superRefine((value, context) => {
      if (value.source === undefined || !/^[a-z]+:\/\/[^/]*@/i.test(value.source)) return;
      context.addIssue({
        code: 'custom',
        path: ['source'],
        message: 'holds a user or password: put them into user and password (env: or file:)',
      });
    })
    .prefault({})
    .meta({ description: 'upgrade kits of the vendor' });

export const smoke = (folder: string) =>
  z
    .strictObject({
      directory: path(folder, 'folder of *.smoke.ts and *.sql').prefault('smoke'),
      timeout: duration('all smoke tests together end after this time').prefault('10m'),
      httpBase: z
        .url({ protocol: /^https?$/ })
        .optional()
        .meta({
          title: 'an http or https address',
          examples: ['http://127.0.0.1:8080'],
          description: "what http('/path') of a smoke test counts from, as seen from inside the machine",
        }),
    })
    .prefault({})
    .meta({ description: "the site's smoke tests" });

const steps = (description: string) =>
  z
    .array(
      z
        .strictObject({
          run: text('a command on the machine').optional(),
          sql: text('SQL in the database').optional(),
          timeout: duration('it failed when it takes longer').prefault('60s'),
        })
        .refine((step) => (step.run === undefined) !== (step.sql === undefined), {
          error: 'a step is either run or sql',
        }),
    )
    .default([])
    .meta({ description });

const weekdays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

export const promotion = () =>
  z
    .strictObject({
      window: z
        .strictObject({
          days: z
            .array(z.enum(weekdays))
            .min(1)
            .default([...weekdays])
            .meta({ description: 'the days on which it begins' }),
          from: timeOfDay('it opens'),
          to: timeOfDay('it closes; earlier than from: on the next day'),
          destroy: cron('when staging machines whose time has passed are destroyed').optional(),
          zone: timeZone('whose clock counts').default('UTC'),
        })
        .optional()
        .meta({ description: 'when LIVE may be changed; default: always' }),
      rollback: z
        .strictObject({
          rehearse: flag('rehearse the rollback on staging before promotion opens').default(true),
        })
        .prefault({})
        .meta({ description: 'the way back' }),
      closeForUsers: steps('how LIVE is closed for users'),
      openForUsers: steps('how LIVE is opened for users again'),
      drainTimeout: duration('transactions still running after this time stop the promotion').prefault('5m'),
      confirmationsExpire: duration('a confirmation counts no longer than this').prefault('7d'),
    })
    .prefault({})
    .meta({ description: 'the change of LIVE' });

export const schedule = () =>
  z
    .strictObject({
      backup: cron('when a backup is taken').optional(),
      refresh: cron('when staging is refreshed').optional(),
      prove: cron('when the newest archive is proven').optional(),
      retention: cron('when obsolete backups and logs are removed').optional(),
      destroy: cron('when staging machines whose time has passed are destroyed').optional(),
      zone: timeZone('whose clock counts').default('UTC'),
    })
    .prefault({})
    .meta({ description: 'what clona serve or systemd timers do, and when' });

export const events = [
  'backupFailed',
  'archiveFailed',
  'proofFailed',
  'refreshFailed',
  'retentionFailed',
  'destroyFailed',
  'zoneYellow',
  'zoneRed',
  'signoffWanted',
  'gateOpen',
  'gateClosed',
  'promoted',
  'rolledBack',
] as const;

export const notify = (folder: string) =>
  z
    .array(
      z
        .strictObject({
          on: z
            .array(z.enum(events))
            .default([...events])
            .meta({ description: 'the events; default: all' }),
          webhook: secret(folder, 'an address that gets a POST with JSON').optional(),
          run: text('a command that gets the JSON on standard input').optional(),
        })
        .refine((value) => (value.webhook === undefined) !== (value.run === undefined), {
          error: 'a message goes either to a webhook or to run',
        }),
    )
    .default([])
    .meta({ description: 'who is told' });

export const control = (folder: string) =>
  z
    .strictObject({
      url: secret(folder, 'PostgreSQL of the control database; default: an embedded one').optional(),
      directory: path(folder, 'control state of the embedded one, locks, evidence').prefault('.clona'),
    })
    .prefault({})
    .meta({ description: 'where clona keeps its own state; never in the production database' });

export const pulumi = (folder: string) =>
  z
    .strictObject({
      backend: text('state backend of Pulumi; default: the folder .clona/pulumi', ['s3://bucket']).optional(),
      passphrase: secret(folder, 'passphrase of the state; default: made once, kept in .clona').optional(),
    })
    .prefault({})
    .meta({ description: 'state of the staging machines' });

export const serve = (folder: string) =>
  z
    .strictObject({
      listen: z
        .string()
        .regex(/^(?:\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+):\d{1,5}$/)
        .refine((value) => Number(value.slice(value.lastIndexOf(':') + 1)) <= 65_535, {
          error: 'has a port above 65535',
        })
        .default('127.0.0.1:8020')
        .meta({ title: 'host:port', examples: ['127.0.0.1:8020'], description: 'where clona serve listens' }),
      token: secret(folder, 'bearer token of the HTTP trigger; without it the trigger is off').optional(),
    })
    .prefault({})
    .meta({ description: 'clona serve' });
