# SPDX-License-Identifier: LGPL-2.1-or-later
"""bpf(2): looks into maps and links that others have pinned, and changes them."""
import ctypes, os, struct

from nslib import libc

SYS_BPF = {'x86_64': 321, 'aarch64': 280}.get(os.uname().machine)
(MAP_CREATE, MAP_LOOKUP, MAP_UPDATE, MAP_DELETE, MAP_NEXT_KEY, PROG_LOAD, OBJ_PIN, OBJ_GET) = range(8)
INFO_BY_FD, RAW_TRACEPOINT_OPEN, MAP_UPDATE_BATCH, MAP_DELETE_BATCH, LINK_CREATE = 15, 17, 26, 27, 28
HASH, NO_PREALLOC = 1, 1

libc.syscall.restype = ctypes.c_long
# struct nsr_namespace of src/policy/layout.h: id, flags, dead, missed.
NAMESPACE = '=QIIQ'


def bpf(command, layout, *values):
    """One call; `layout` is that of the attributes, as struct has it."""
    attributes = struct.pack('=' + layout, *values)
    buffer = ctypes.create_string_buffer(attributes, len(attributes))
    result = libc.syscall(ctypes.c_long(SYS_BPF), ctypes.c_long(command), buffer, ctypes.c_long(len(attributes)))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), 'bpf(%d)' % command)
    return result


def place_of(buffer):
    return ctypes.addressof(buffer)


def open_pin(path):
    name = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(OBJ_GET, 'QII', place_of(name), 0, 0)


def pin(fd, path):
    name = ctypes.create_string_buffer(os.fsencode(path))
    bpf(OBJ_PIN, 'QII', place_of(name), fd, 0)


def info(path, layout):
    """The first fields of what the kernel tells of a pinned thing."""
    fd = open_pin(path)
    try:
        size = struct.calcsize('=' + layout)
        buffer = ctypes.create_string_buffer(size)
        bpf(INFO_BY_FD, 'IIQ', fd, size, place_of(buffer))
        return struct.unpack('=' + layout, buffer.raw)
    finally:
        os.close(fd)


def link_ids(path):
    """The link's and the program's."""
    _, link, program = info(path, 'III')
    return link, program


def create_map(name, key_size, value_size, max_entries):
    """A hash, as those of the policy are."""
    return bpf(MAP_CREATE, 'IIIIIII16s', HASH, key_size, value_size, max_entries, NO_PREALLOC, 0, 0, name.encode())


class Map:
    """A pinned hash."""

    def __init__(self, path):
        self.kind, self.id, self.key_size, self.value_size, self.max_entries = info(path, 'IIIII')
        self.fd = open_pin(path)

    def close(self):
        os.close(self.fd)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def get(self, key):
        """None: it is not there."""
        wanted, value = ctypes.create_string_buffer(key, self.key_size), ctypes.create_string_buffer(self.value_size)
        try:
            bpf(MAP_LOOKUP, 'IIQQQ', self.fd, 0, place_of(wanted), place_of(value), 0)
        except FileNotFoundError:
            return None
        return value.raw

    def set(self, key, value):
        wanted = ctypes.create_string_buffer(key, self.key_size)
        new = ctypes.create_string_buffer(value, self.value_size)
        bpf(MAP_UPDATE, 'IIQQQ', self.fd, 0, place_of(wanted), place_of(new), 0)

    def delete(self, key):
        wanted = ctypes.create_string_buffer(key, self.key_size)
        bpf(MAP_DELETE, 'IIQQQ', self.fd, 0, place_of(wanted), 0, 0)

    def keys(self):
        found, last = [], ctypes.create_string_buffer(self.key_size)
        try:
            bpf(MAP_NEXT_KEY, 'IIQQQ', self.fd, 0, 0, place_of(last), 0)
            while True:
                found.append(last.raw)
                bpf(MAP_NEXT_KEY, 'IIQQQ', self.fd, 0, place_of(last), place_of(last), 0)
        except FileNotFoundError:
            return found

    def content(self):
        return {key: self.get(key) for key in self.keys()}

    def many(self, command, keys, values=b''):
        all_keys, all_values = ctypes.create_string_buffer(b''.join(keys)), ctypes.create_string_buffer(values)
        place = place_of(all_values) if values else 0
        bpf(command, 'QQQQIIQQ', 0, 0, place_of(all_keys), place, len(keys), self.fd, 0, 0)

    def set_all(self, keys, value):
        self.many(MAP_UPDATE_BATCH, keys, value * len(keys))

    def delete_all(self, keys):
        self.many(MAP_DELETE_BATCH, keys)
