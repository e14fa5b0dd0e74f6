"""Runs componentize-py; what an import of the author's raises is shown as Python would, with the author's own paths.

FOLDER is the author's; the rest are arguments of componentize-py, which mounts them as /0 (glue), /1 (the policy),
/2 (the SDK) and /3 (packages).
"""

import re
import sys

import componentize_py


def main(folder, arguments):
    sys.argv[1:] = arguments
    try:
        componentize_py.script()
    except BaseException as error:
        if isinstance(error, SystemExit) and not error.code:
            return
        sys.exit(shown(folder, str(error)))


def shown(folder, text):
    # The traceback, if there is one, and what the tool makes of it.
    before, _, cause = text.partition("Caused by:")
    text = before.strip() or cause.strip()
    kept, skipping = [], False
    for line in text.splitlines():
        frame = re.match(r'  File "(.*?)", line', line)
        if frame or not line.startswith(" "):
            # The glue, and the machinery of imports, say nothing to the author.
            skipping = bool(frame) and (frame[1].startswith(("/0/", "<frozen")))
        if not skipping:
            kept.append(line)
    mounted = [("/1/", folder), ("/2/", ".verdict/sdk/python/"), ("/3/", ".verdict/packages/")]
    text = "\n".join(kept)
    for mount, path in mounted:
        text = text.replace(f'"{mount}', f'"{path}')
    beside = re.search(r"No such file or directory: '/1/([^'/]+)'", text)
    if beside:
        text += f"\n{beside[1]} is not in the component: put what is read into a package, a folder with an __init__.py beside policy.py"
    return text or "componentize-py failed without a word"


main(sys.argv[1], sys.argv[2:])
