"""Holds `chancery recovery ceremony` as a roomful of people does: at a terminal, each share written down from the screen and typed back.

recovery_ceremony.py SLIP BINARY ARGUMENT...

What it reads off the screen goes to standard output, a share a line: it is the test's own paper. With SLIP `slip` the first share is typed
wrong at first. The command's exit code is this one's. What the screen showed at last goes to standard error.
"""

import os
import pty
import re
import select
import sys

slip, command = sys.argv[1] == "slip", sys.argv[2:]
pid, screen = pty.fork()
if pid == 0:
    os.execv(command[0], command)

shown, papers, at = "", [], 0


def type_in(text):
    os.write(screen, (text + "\n").encode())


while True:
    ready, _, _ = select.select([screen], [], [], 60)
    if not ready:
        print(f"nothing more is said after: {shown[-2000:]}", file=sys.stderr)
        sys.exit(99)
    try:
        piece = os.read(screen, 65536)
    except OSError:
        break
    if not piece:
        break
    shown += piece.decode(errors="replace").replace("\r", "")
    while True:
        rest = shown[at:]
        asked = re.search(r"\[yes\] > |press Enter: it is cleared then\.\n|\(or `show`, to see it again\):\n", rest)
        if not asked:
            break
        before = rest[: asked.start()]
        at += asked.end()
        if asked.group().startswith("[yes]"):
            type_in("yes")
        elif asked.group().startswith("press"):
            share = re.search(r"CHY1 [0-9A-Z \n]+", before.replace("REHEARSAL", "")).group()
            papers.append(" ".join(re.findall(r"[0-9A-Z]{4,5}", share)[:17]))
            type_in("")
        elif slip:
            slip = False
            wrong = papers[-1][:-1] + ("Q" if papers[-1][-1] != "Q" else "P")
            type_in(wrong)
        else:
            type_in(papers[-1])

_, status = os.waitpid(pid, 0)
print("\n".join(papers))
print(shown, file=sys.stderr)
sys.exit(os.waitstatus_to_exitcode(status))
