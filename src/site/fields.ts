import { resolve } from 'node:path';
import { z } from 'zod';
import { parseCron } from './cron.ts';
import { secretPattern, type SecretRef } from './secret.ts';
import { durationPattern, parseDuration, parseSize, sizePattern } from './units.ts';

/**
 * Kinds of values in the site file. `title` and `examples` are what a mistake is explained with ("allowed: a
 * duration, like 26h or 7d") and what editors show; `description` is what the key is for.
 */

/**
 * For what no single key can tell: asked although a key has a mistake of its own, so that one run shows all of them.
 * Values may then be of any kind.
 */
export const evenWithOtherMistakes = {
  when: ({ value }: { value: unknown }): boolean => typeof value === 'object' && value !== null,
};

export const text = (description: string, examples?: string[]) =>
  z
    .string()
    .min(1)
    // Neither a database nor a command takes a NUL.
    .regex(/^[^\0]*$/)
    .meta({ title: 'a text', description, examples });

/** No control characters, and not of blanks alone. */
const onOneLine = /^\P{Cc}*[^\s\p{Cc}]\P{Cc}*$/u;

/** On one line, and not of blanks alone: what people and machines are called. */
export const line = (description: string, examples?: string[]) =>
  z.string().regex(onOneLine).meta({ title: 'a text on one line', description, examples });

/** Names that become folder names, host names and Pulumi names. */
export const name = (description: string) =>
  z
    .string()
    .regex(/^[a-z][a-z0-9-]{0,39}$/)
    .meta({ title: 'a name of up to 40 small letters, digits and "-"', description });

const labelPattern = /^[\p{L}\p{N}](?:[\p{L}\p{M}\p{N} _.&+()/-]{0,58}[\p{L}\p{M}\p{N}.)])?$/u;

/** What people call something, in any script: shown, compared, typed in quotes; never a name of a file that clona makes. */
export const label = (description: string, examples?: string[]) =>
  z
    .string()
    .regex(labelPattern)
    .meta({
      title: 'a name of up to 60 letters, digits, blanks and . & + ( ) / - _, in any script',
      description,
      examples,
    })
    .transform((value) => value.normalize('NFC'));

export const integer = (low: number, high: number, description: string) =>
  z
    .int()
    .min(low)
    .max(high)
    .meta({ title: `a whole number from ${low} to ${high}`, description });

export const flag = (description: string) => z.boolean().meta({ title: 'true or false', description });

/** Dates are counted with it: beyond the year 275760 there are none. */
const longestMs = 36_525 * 86_400_000;

/** In milliseconds once parsed. */
export const duration = (description: string) =>
  z
    .string()
    .regex(durationPattern)
    .refine((value) => !durationPattern.test(value) || parseDuration(value) <= longestMs, {
      error: 'is longer than a hundred years',
    })
    .meta({ title: 'a duration', examples: ['90s', '15m', '26h', '7d'], description })
    .transform(parseDuration);

/** In bytes once parsed. */
export const size = (description: string) =>
  z
    .string()
    .regex(sizePattern)
    .meta({ title: 'a size', examples: ['512MB', '20GB', '1.5TB'], description })
    .transform(parseSize);

/** A number from 1 to 100 once parsed. */
export const percent = (description: string) =>
  z
    .string()
    .regex(/^(?:100|[1-9]\d?)%$/)
    .meta({ title: 'a share from 1% to 100%', examples: ['80%'], description })
    .transform((value) => Number(value.slice(0, -1)));

/** Absolute once parsed; in the file relative to the file's own folder. */
export const path = (folder: string, description: string) =>
  z
    .string()
    .regex(onOneLine)
    .meta({ title: 'a path', description: `${description} (relative to the site file)` })
    .transform((value) => resolve(folder, value));

const secretTitle = 'the place of a secret, never the secret itself';

export const secret = (folder: string, description: string) =>
  z
    .string()
    .regex(secretPattern)
    .meta({ title: secretTitle, examples: ['env:ERP_PASSWORD', 'file:secrets/erp'], description })
    .transform((value): SecretRef => readSecretRef(folder, value));

/** A secret that other programs read by its path, as ssh does with a private key. */
export const secretFile = (folder: string, description: string) =>
  z
    .string()
    .regex(/^file:.+$/)
    .meta({ title: secretTitle, examples: ['file:secrets/id_ed25519'], description })
    .transform((value) => resolve(folder, value.slice('file:'.length)));

function readSecretRef(folder: string, value: string): SecretRef {
  if (value.startsWith('env:')) return { kind: 'env', name: value.slice('env:'.length) };
  return { kind: 'file', path: resolve(folder, value.slice('file:'.length)) };
}

export function isSecretTitle(title: unknown): boolean {
  return title === secretTitle;
}

/** Stays text: `parseCron` reads it again where it is used. */
export const schedule = (description: string) =>
  z
    .string()
    .superRefine((value, context) => {
      const parsed = parseCron(value);
      if (typeof parsed === 'string') context.addIssue({ code: 'custom', message: parsed });
    })
    .meta({ title: 'a schedule of five fields', examples: ['30 2 * * *', '0 6 * * mon-fri'], description });

export const timeOfDay = (description: string) =>
  z
    .string()
    .regex(/^(?:[01]\d|2[0-3]):[0-5]\d$/)
    .meta({ title: 'a time of day', examples: ['18:30'], description });

export const timeZone = (description: string) =>
  z
    .string()
    .refine((value) => isTimeZone(value), { error: 'this system knows no such time zone' })
    .meta({ title: 'a time zone of the IANA list', examples: ['UTC', 'Europe/Sarajevo'], description });

function isTimeZone(value: string): boolean {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: value }) instanceof Intl.DateTimeFormat;
  } catch {
    return false;
  }
}
