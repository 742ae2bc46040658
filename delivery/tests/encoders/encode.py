# What Python writes of each value: values come with a NUL behind each, forms go as "NUMBER NAME FORM" with a NUL behind each.
import base64, csv, html, io, json, shlex, sys, urllib.parse
import xml.etree.ElementTree as tree
from xml.sax import saxutils


def row(value, **options):
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="", **options).writerow([value])
    return out.getvalue()


def forms(value):
    raw = value.encode()
    yield "as it is", value
    yield "json", json.dumps(value)
    yield "json of text", json.dumps(value, ensure_ascii=False)
    yield "json in json", json.dumps(json.dumps(value, ensure_ascii=False), ensure_ascii=False)
    yield "quote", urllib.parse.quote(value)
    yield "quote all", urllib.parse.quote(value, safe="")
    yield "quote_plus", urllib.parse.quote_plus(value)
    yield "requests", urllib.parse.quote(value, safe="!#$%&'()*+,/:;=?@[]~")
    yield "urlencode", urllib.parse.urlencode({"": value})
    yield "repr", repr(value)
    yield "repr with others", repr("'\"" + value)
    yield "ascii", ascii(value)
    yield "repr of bytes", repr(raw)
    yield "html", html.escape(value)
    yield "html of text", html.escape(value, quote=False)
    yield "xml", saxutils.escape(value)
    yield "shlex", shlex.quote(value)
    yield "csv", row(value)
    yield "sql", "'" + value.replace("'", "''") + "'"
    if value.isprintable():
        yield "xml attribute", saxutils.quoteattr(value)
        yield "xml element", tree.tostring(tree.Element("e", {"a": value}), encoding="unicode")[6:-4]
    yield "hex", raw.hex()
    yield "hex with colons", raw.hex(":")
    yield "hex in capitals", raw.hex(":").upper()
    for before in ["", "u", "us"]:
        text = (before + value).encode()
        yield "base64 behind " + before, base64.b64encode(text).decode()
        yield "base64 for URLs behind " + before, base64.urlsafe_b64encode(text).decode()
    yield "base64 of mail", base64.encodebytes(raw).decode()


for number, value in enumerate(sys.stdin.buffer.read().decode().split("\0")[:-1]):
    for name, form in forms(value):
        sys.stdout.buffer.write(f"{number} {name.replace(' ', '-')} {form}\0".encode())
