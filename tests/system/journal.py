# SPDX-License-Identifier: LGPL-2.1-or-later
"""The journal of an instance (src/lifecycle/journal.h): calls that are not finished."""
import json, os, struct

ENTRY, BODY, PAGES = 32, 4096, 255
TABLE = ENTRY * (PAGES + 1)
RECORDING, MAPPING, REGISTERING, ANNOUNCING, DELEGATING, LINKING = range(1, 7)


def unfinished(path):
    """The pages in use, each with its step."""
    try:
        with open(path, 'rb') as file:
            table = file.read(TABLE)
    except FileNotFoundError:
        return []
    steps = [struct.unpack_from('=I', table, ENTRY * page)[0] for page in range(1, PAGES + 1)]
    return [(page, step) for page, step in enumerate(steps, 1) if step]


def leave(path, page, step, record):
    """What a worker leaves that dies in a step; `record` is a dictionary, or any text."""
    text = (record if isinstance(record, str) else json.dumps(record)).encode()
    inode = record.get('userns', 0) if isinstance(record, dict) else 0
    with open(path, 'r+b') as file:
        file.seek(TABLE + (page - 1) * BODY)
        file.write(text[:BODY])
        file.seek(ENTRY * page)
        file.write(struct.pack('=IIQ', step, len(text), inode))
