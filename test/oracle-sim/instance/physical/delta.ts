import { createHash } from 'node:crypto';
import type { Delta } from './types.ts';

/** What a redo record keeps of a changed text: a table of a thousand rows that gets one more is a line of redo, not the table. */
export function deltaOf(base: string | null, text: string | null): Delta {
  if (base === null || text === null) return text;
  const most = Math.min(base.length, text.length);
  let keep = 0;
  while (keep < most && base.charCodeAt(keep) === text.charCodeAt(keep)) keep += 1;
  let end = 0;
  while (
    end < most - keep &&
    base.charCodeAt(base.length - 1 - end) === text.charCodeAt(text.length - 1 - end)
  )
    end += 1;
  return { keep, text: text.slice(keep, text.length - end), end };
}

export function applyDelta(base: string | null, delta: Delta): string | null {
  if (delta === null || typeof delta === 'string') return delta;
  const known = base ?? '';
  return known.slice(0, delta.keep) + delta.text + known.slice(known.length - delta.end);
}

export function digestOf(text: string | null): string {
  return text === null ? '' : createHash('sha1').update(text).digest('base64').slice(0, 16);
}
