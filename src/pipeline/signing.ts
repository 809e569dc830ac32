import { hostname, userInfo } from 'node:os';
import { ClonaError } from '../errors.ts';
import { currentEvidence, whatChanged } from '../gate/evidence.ts';
import type { Word } from '../gate/facts.ts';
import type { GateDecision } from '../gate/gate.ts';
import { maySign, sameName } from '../gate/signing.ts';
import type { Context } from './context.ts';
import { decide, pickRelease, viewRelease } from './facts-now.ts';
import { readSiteState } from './site-state.ts';
import { toJson } from './step.ts';
import { letReleaseAct, wakeRelease } from './wake.ts';

export interface SignOptions {
  release?: string | undefined;
  department: string;
  /** Who types. */
  by: string;
  onBehalfOf?: string | undefined;
  word: 'confirm' | 'refuse';
  comment?: string | undefined;
}

export interface Signed {
  release: string;
  department: string;
  word: 'confirm' | 'refuse';
  /** "anna (key user)", or whose word was written down by whom. */
  shown: string;
  gate: GateDecision;
}

/**
 * Gives one person's word for one department about this very evidence (R18). Refused with `signoffRefused`: for
 * people who may not, before the departments were asked, and to confirm what has changed since.
 */
export async function sign(context: Context, options: SignOptions): Promise<Signed> {
  const state = pickRelease(await readSiteState(context.ledger), options.release);
  if (state.state !== 'open') {
    throw new ClonaError(
      'signoffRefused',
      `release ${state.id} takes no words any more: it is ${state.state}`,
    );
  }
  const { department, by, onBehalfOf = null, word, comment = null } = options;
  const verdict = maySign({ department, by, onBehalfOf, initiator: state.initiator }, context.policy);
  if (!verdict.allowed) throw new ClonaError('signoffRefused', verdict.reason, { hint: verdict.remedy });
  const view = await viewRelease(context, state.id, null, context.signal);
  const { requests } = view.facts;
  if (requests === null) {
    throw new ClonaError('signoffRefused', 'the departments were not asked yet', {
      hint: "requests go out once the smoke tests passed and the DBA's checklist is done: clona status",
    });
  }
  const now = currentEvidence(view.facts);
  const changes =
    now === null ? ['what it rests on is no longer there'] : whatChanged(requests.evidence, now);
  if (word === 'confirm' && changes.length > 0) {
    throw new ClonaError('signoffRefused', `this is no longer what was asked about: ${changes.join(', ')}`, {
      hint: 'start a new release',
    });
  }
  const at = context.now();
  const given: Word & { account: string } = {
    department: verdict.department.name,
    by: by.trim(),
    onBehalfOf: onBehalfOf?.trim() ?? null,
    word,
    comment,
    at: at.toISOString(),
    evidence: requests.evidence,
    // Names are claims; the account they were typed from is what the system knows.
    account: `${userInfo().username}@${hostname()}`,
  };
  const entry = { kind: 'signoff.given', run: state.id, key: null, payload: toJson(given) };
  const record = await context.ledger.append(entry, at);
  await wakeRelease(context, state.id);
  await letReleaseAct(context, state.id, record.sequence, by);
  const after = await viewRelease(context, state.id, null, context.signal);
  return {
    release: state.id,
    department: verdict.department.name,
    word,
    shown: verdict.shown,
    gate: decide(context, after, 'promotion'),
  };
}

export interface TickOptions {
  release?: string | undefined;
  by: string;
  /** Items of the site's checklist; undefined: all of them. */
  items?: readonly string[] | undefined;
}

/** Ticks items of the DBA's checklist; when all are ticked the departments are asked. */
export async function tickChecklist(
  context: Context,
  options: TickOptions,
): Promise<{ release: string; open: string[] }> {
  const state = pickRelease(await readSiteState(context.ledger), options.release);
  const { checklist, recorders } = context.policy;
  if (state.state !== 'open') {
    throw new ClonaError('signoffRefused', `release ${state.id} is ${state.state}`);
  }
  if (recorders.length > 0 && !recorders.some((name) => sameName(name, options.by))) {
    throw new ClonaError('signoffRefused', `${options.by} is not the DBA of this site`, {
      hint: `ask ${recorders.join(' or ')}`,
    });
  }
  let last = 0;
  for (const wanted of options.items ?? checklist) {
    const item = checklist.find((known) => sameName(known, wanted));
    if (item === undefined) {
      throw new ClonaError('usage', `the checklist has no item "${wanted}"`, {
        hint: `it has: ${checklist.join('; ')}`,
      });
    }
    const at = context.now();
    const payload = { item, by: options.by, at: at.toISOString() };
    const entry = { kind: 'checklist.ticked', run: state.id, key: `${state.id}/checklist/${item}`, payload };
    last = (await context.ledger.append(entry, at)).sequence;
  }
  await wakeRelease(context, state.id);
  const open = await openItems(context, state.id);
  // Whoever ticked the last item may give the departments' words next: by then they have to be asked.
  await letReleaseAct(context, state.id, last, options.by, open.length === 0 ? ['requests.sent'] : undefined);
  return { release: state.id, open };
}

async function openItems(context: Context, release: string): Promise<string[]> {
  const { facts } = await viewRelease(context, release, null, context.signal);
  const done = facts.checklist?.done ?? [];
  return context.policy.checklist.filter((item) => !done.some((tick) => sameName(tick.item, item)));
}

/** Gives a release up: its staging machine is free again, its words are void. */
export async function abandonRelease(
  context: Context,
  options: { release?: string | undefined; by: string; reason?: string | undefined },
): Promise<string> {
  const state = pickRelease(await readSiteState(context.ledger), options.release);
  if (state.state !== 'open') throw new ClonaError('usage', `release ${state.id} is ${state.state}`);
  const payload = { state: 'abandoned', by: options.by, reason: options.reason ?? null };
  const entry = { kind: 'release.ended', run: state.id, key: `${state.id}/abandoned`, payload };
  const record = await context.ledger.append(entry, context.now());
  await wakeRelease(context, state.id);
  await letReleaseAct(context, state.id, record.sequence, options.by);
  return state.id;
}
