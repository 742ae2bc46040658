// What Node writes of each value: values come with a NUL behind each, forms go as "NUMBER NAME FORM" with a NUL behind each.
const { readFileSync, writeSync } = require('fs');
const { inspect } = require('util');
const { escape: escaped } = require('querystring');

const url = (part, value) => {
  const url = new URL('https://u@h/');
  url[part] = value;
  return url[part];
};

const forms = (value) => {
  const bytes = Buffer.from(value);
  const found = {
    JSON: JSON.stringify(value),
    'JSON-in-JSON': JSON.stringify(JSON.stringify(value)),
    encodeURIComponent: encodeURIComponent(value),
    encodeURI: encodeURI(value),
    URLSearchParams: new URLSearchParams({ a: value }).toString().slice(2),
    querystring: escaped(value),
    inspect: inspect(value),
    'inspect-with-others': inspect('\'"`' + value),
    'inspect-in-a-list': inspect([value], { breakLength: Infinity }),
    password: url('password', value),
    base64: bytes.toString('base64'),
    base64url: bytes.toString('base64url'),
    hex: bytes.toString('hex'),
  };
  // `<Buffer 70 3c>`, without its name; of more than fifty bytes it shows the first.
  if (bytes.length <= 50) found.buffer = inspect(bytes).slice(8, -1);
  // What is no part of a URL goes from it, and `\` and dots become others.
  if (/^[!-~]*$/.test(value)) {
    found.search = url('search', `?a=${value}`).slice(3);
    if (!/[\\.]/.test(value)) found.pathname = url('pathname', `/a${value}`).slice(2);
  }
  if (/^[ -~]*$/.test(value)) found.escape = escape(value);
  return found;
};

readFileSync(0, 'utf8').split('\0').slice(0, -1).forEach((value, number) => {
  for (const [name, form] of Object.entries(forms(value))) {
    const bytes = Buffer.from(`${number} ${name} ${form}\0`);
    for (let at = 0; at < bytes.length; ) at += writeSync(1, bytes, at);
  }
});
