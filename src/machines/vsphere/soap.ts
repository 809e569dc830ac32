import { XMLBuilder, XMLParser } from 'fast-xml-parser';

/** A managed object: what the vSphere API calls are made on (vSphere Web Services API, "ManagedObjectReference"). */
export interface MoRef {
  type: string;
  moref: string;
}

/** What goes into a call. Order of keys is the order on the wire, which the API checks. `$type` becomes xsi:type. */
export type VimValue = string | number | boolean | Date | MoRef | undefined | readonly VimValue[] | VimObject;
export interface VimObject {
  $type?: string;
  [key: string]: VimValue;
}

/** A parsed element: text, or its children by name with attributes as "@name". */
export type XmlNode = string | { [name: string]: XmlNode | XmlNode[] };

/** What the server refused: `kind` is the API's fault type, such as NotAuthenticated or InvalidState. */
export interface VimFault {
  kind: string;
  message: string;
}

const builder = new XMLBuilder({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  suppressBooleanAttributes: false,
});
const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: true,
});

export function buildEnvelope(method: string, target: MoRef, args: VimObject): string {
  const body = { '@xmlns': 'urn:vim25', _this: encode(target), ...encodeMembers(args) };
  return `<?xml version="1.0" encoding="UTF-8"?>${builder.build({
    'soapenv:Envelope': {
      '@xmlns:soapenv': 'http://schemas.xmlsoap.org/soap/envelope/',
      '@xmlns:xsi': 'http://www.w3.org/2001/XMLSchema-instance',
      '@xmlns:xsd': 'http://www.w3.org/2001/XMLSchema',
      'soapenv:Body': { [method]: body },
    },
  })}`;
}

function encode(value: VimValue): unknown {
  if (value instanceof Date) return value.toISOString();
  if (Array.isArray(value)) return value.map((item: VimValue) => encode(item));
  if (isMoRef(value)) return { '@type': value.type, '#text': value.moref };
  if (typeof value === 'object') {
    // Arrays and dates are gone by now: what is left is a data object.
    const members = value as VimObject;
    return {
      ...(members.$type === undefined ? {} : { '@xsi:type': members.$type }),
      ...encodeMembers(members),
    };
  }
  return String(value);
}

function encodeMembers(members: VimObject): Record<string, unknown> {
  const entries = Object.entries(members).filter(([key, value]) => key !== '$type' && value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [key, encode(value)]));
}

function isMoRef(value: VimValue): value is MoRef {
  return typeof value === 'object' && 'moref' in value && 'type' in value;
}

/** Gives the `returnval` elements of an answer, or the fault in it. Throws only when it is no SOAP answer at all. */
export function parseEnvelope(xml: string): { values: XmlNode[] } | { fault: VimFault } {
  // The parser knows no types: this is the form it is documented to give.
  const document = parser.parse(xml) as XmlNode;
  const body = childEnding(childEnding(document, 'Envelope'), 'Body');
  const fault = childEnding(body, 'Fault');
  if (fault !== undefined) return { fault: readFault(fault) };
  if (body === undefined) throw new Error('the answer is no SOAP envelope');
  const response = childEnding(body, 'Response');
  return { values: response === undefined ? [] : children(response, 'returnval') };
}

function readFault(fault: XmlNode): VimFault {
  const detail = child(fault, 'detail');
  const first =
    typeof detail === 'object' ? Object.keys(detail).find((key) => !key.startsWith('@')) : undefined;
  const declared = first === undefined ? undefined : xsiType(child(detail, first));
  const kind = (declared ?? first ?? 'Fault').replace(/^.*:/, '').replace(/(?<=.)Fault$/, '');
  return { kind, message: text(child(fault, 'faultstring')) };
}

function childEnding(node: XmlNode | undefined, ending: string): XmlNode | undefined {
  if (node === undefined || typeof node === 'string') return undefined;
  const name = Object.keys(node).find(
    (key) => key === ending || key.endsWith(`:${ending}`) || (ending === 'Response' && key.endsWith(ending)),
  );
  return name === undefined ? undefined : child(node, name);
}

/** The first child at a dotted path; undefined when a part of the path is missing. */
export function child(node: XmlNode | undefined, path: string): XmlNode | undefined {
  let current = node;
  for (const name of path.split('.')) {
    if (current === undefined || typeof current === 'string') return undefined;
    const next: XmlNode | XmlNode[] | undefined = current[name];
    current = Array.isArray(next) ? next[0] : next;
  }
  return current;
}

/** All children of one name: the API sends lists as repeated elements. */
export function children(node: XmlNode | undefined, name: string): XmlNode[] {
  if (node === undefined || typeof node === 'string') return [];
  const found = node[name];
  if (found === undefined) return [];
  return Array.isArray(found) ? found : [found];
}

export function text(node: XmlNode | undefined): string {
  if (node === undefined) return '';
  if (typeof node === 'string') return node;
  const own = node['#text'];
  return typeof own === 'string' ? own : '';
}

export function attribute(node: XmlNode | undefined, name: string): string | undefined {
  if (node === undefined || typeof node === 'string') return undefined;
  const value = node[`@${name}`];
  return typeof value === 'string' ? value : undefined;
}

/** The declared type of an element; the prefix of the XML Schema namespace is the server's own choice. */
export function xsiType(node: XmlNode | undefined): string | undefined {
  if (node === undefined || typeof node === 'string') return undefined;
  const name = Object.keys(node).find((key) => key.startsWith('@') && key.endsWith(':type'));
  return name === undefined ? undefined : attribute(node, name.slice(1))?.replace(/^.*:/, '');
}

/** Reads an element that holds a reference. */
export function moRef(node: XmlNode | undefined): MoRef | undefined {
  const type = attribute(node, 'type');
  return type === undefined ? undefined : { type, moref: text(node) };
}
