// Writes build/template.json: infra/sam/template.yaml with the functions in their long form, for the construct to read.

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { isMap, isSeq, parseDocument } from 'yaml';

const HERE = new URL('.', import.meta.url);

/** `!Sub text` is `{"Fn::Sub": "text"}`. */
function long(name, value) {
  if (name === 'Ref' || name === 'Condition') return { [name]: value };
  if (name === 'GetAtt') return { 'Fn::GetAtt': typeof value === 'string' ? value.split('.') : value };
  return { [`Fn::${name}`]: value };
}

function plain(node) {
  if (node === null) return null;
  let value = node.value;
  if (isMap(node)) value = Object.fromEntries(node.items.map(({ key, value }) => [key.value, plain(value)]));
  if (isSeq(node)) value = node.items.map(plain);
  return node.tag?.match(/^!\w/) ? long(node.tag.slice(1), value) : value;
}

const document = parseDocument(readFileSync(new URL('../sam/template.yaml', HERE), 'utf8'), { logLevel: 'error' });
if (document.errors.length > 0) throw document.errors[0];
mkdirSync(new URL('build/', HERE), { recursive: true });
writeFileSync(new URL('build/template.json', HERE), JSON.stringify(plain(document.contents)));
