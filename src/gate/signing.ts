import type { DepartmentPolicy, GatePolicy } from './facts.ts';

export type SigningVerdict =
  | {
      allowed: true;
      as: 'key user' | 'delegate';
      department: DepartmentPolicy;
      signer: string;
      shown: string;
    }
  | { allowed: false; reason: string; remedy: string };

export interface SigningQuestion {
  department: string;
  /** Who types. */
  by: string;
  onBehalfOf: string | null;
  /** Who started the release. */
  initiator: string;
}

/** Names are the same whatever their case, width and spaces: " Anna " does not get round a rule made for "anna". */
export function sameName(left: string, right: string): boolean {
  return personKey(left) === personKey(right);
}

export function personKey(name: string): string {
  return name.normalize('NFKC').trim().replaceAll(/\s+/g, ' ').toLowerCase();
}

/**
 * May this person's word count for that department (R18)? Key users and delegates may; whoever started the release
 * may not, unless the department made them its delegate; a word given to somebody else is written down by one of
 * the site's recorders, who then speaks for the person named and never for themselves.
 */
export function maySign(question: SigningQuestion, policy: GatePolicy): SigningVerdict {
  const department = policy.departments.find(({ name }) => sameName(name, question.department));
  if (department === undefined) {
    return deny(
      `the site knows no department "${question.department}"`,
      `name one of: ${policy.departments.map(({ name }) => name).join(', ') || 'none is configured'}`,
    );
  }
  const signer = question.onBehalfOf ?? question.by;
  if (personKey(question.by) === '' || personKey(signer) === '') {
    return deny('a word needs a name', 'say who you are');
  }
  if (question.onBehalfOf !== null) {
    if (sameName(question.by, question.onBehalfOf)) {
      return deny(`${question.by} cannot speak on behalf of themselves`, 'sign without on-behalf-of');
    }
    if (!policy.recorders.some((name) => sameName(name, question.by))) {
      return deny(
        `${question.by} may not write down the word of somebody else`,
        `let ${question.onBehalfOf} sign, or one of the site's recorders: ${policy.recorders.join(', ') || 'none is configured'}`,
      );
    }
  }
  return asMember(question, department, signer);
}

function asMember(question: SigningQuestion, department: DepartmentPolicy, signer: string): SigningVerdict {
  const isDelegate = department.delegates.some((name) => sameName(name, signer));
  const isKeyUser = department.keyUsers.some((name) => sameName(name, signer));
  const others = [...department.keyUsers, ...department.delegates].filter(
    (name) => !sameName(name, question.initiator),
  );
  const remedy = `ask ${others.join(' or ') || `the site's owner to name a key user for ${department.name}`}`;
  if (!isDelegate && !isKeyUser) {
    return deny(`${signer} is neither key user nor delegate of ${department.name}`, remedy);
  }
  if (sameName(signer, question.initiator) && !isDelegate) {
    return deny(`${signer} started this release and cannot sign for ${department.name}`, remedy);
  }
  const as = isDelegate && (!isKeyUser || sameName(signer, question.initiator)) ? 'delegate' : 'key user';
  const shown =
    question.onBehalfOf === null
      ? `${signer} (${as})`
      : `the word of ${signer} (${as}), written down by ${question.by}${
          sameName(question.by, question.initiator) ? ', who started the release' : ''
        }`;
  return { allowed: true, as, department, signer, shown };
}

function deny(reason: string, remedy: string): SigningVerdict {
  return { allowed: false, reason, remedy };
}
