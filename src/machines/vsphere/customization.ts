import { ClonaError } from '../../errors.ts';
import { isFault, type Vim } from './client.ts';
import type { CloneSource } from './clone-source.ts';
import { child, children, text } from './soap.ts';

/** What a customization specification asks of a machine (CustomizationSpecItem). */
export interface CustomizationFacts {
  name: string;
  system: string;
  /** It says something for so many cards; 0: for none. */
  cards: number;
}

/** Why a machine cannot be customized so; vCenter would say it when the clone is there already. Pure. */
export function refuseCustomization(
  { name, system, cards }: CustomizationFacts,
  source: Pick<CloneSource, 'name' | 'guestId' | 'cards'>,
): string | undefined {
  const isWindows = source.guestId.startsWith('win');
  const isOther = /^other(?:Guest|Guest64)$/.test(source.guestId);
  if (!isOther && system !== '' && (system === 'Windows') !== isWindows)
    return `the customization specification ${name} is for ${system}, and ${source.name} has the guest system ${source.guestId}`;
  if (cards > 0 && cards !== source.cards.length)
    return `the customization specification ${name} is for ${cards} network cards, and ${source.name} has ${source.cards.length}`;
  return undefined;
}

/** Throws where the vCenter has no specification of that name, or where it does not fit; nothing was changed then. */
export async function requireCustomization(
  vim: Vim,
  name: string,
  source: CloneSource,
  signal: AbortSignal,
): Promise<void> {
  const manager = vim.content.customizationSpecManager;
  if (manager === undefined) return;
  const hint = 'nothing was changed; look at it in vCenter under Policies and Profiles, or name another one';
  const [found] = await vim
    .call('GetCustomizationSpec', manager, { name }, signal)
    .catch((error: unknown) => {
      if (isFault(error, 'NotFound')) return [];
      throw error;
    });
  if (found === undefined) {
    throw new ClonaError('machineFailed', `the vCenter has no customization specification ${name}`, { hint });
  }
  const facts = {
    name,
    system: text(child(found, 'info.type')),
    cards: children(child(found, 'spec'), 'nicSettingMap').length,
  };
  const refusal = refuseCustomization(facts, source);
  if (refusal !== undefined) throw new ClonaError('machineFailed', refusal, { hint });
}
