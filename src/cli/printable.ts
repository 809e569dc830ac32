// C0 but line feed and tab, DEL, C1, and what turns the direction of writing round.
// oxlint-disable-next-line no-control-regex
const unprintable = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;

/**
 * Text for a terminal: names and messages come from catalog files, servers and guests, and a control character in one of them
 * would move the cursor, change what stands above, or hide what follows. They are shown as \u{1b}.
 */
export function printable(text: string): string {
  return text.replace(unprintable, (found) => `\\u{${found.charCodeAt(0).toString(16)}}`);
}
