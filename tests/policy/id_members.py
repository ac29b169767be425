# SPDX-License-Identifier: LGPL-2.1-or-later
"""Members of kernel structures that keep a user or group id, by its value or by way of credentials or an account."""
from btf import ARRAY, FWD, PTR, STRUCT, TYPEDEF, UNION

VALUES = ('kuid_t', 'kgid_t', 'vfsuid_t', 'vfsgid_t', 'kqid', 'uid_gid_map', 'uid_t', 'gid_t', '__kernel_uid_t', '__kernel_gid_t',
          '__kernel_uid32_t', '__kernel_gid32_t')
POINTED_AT = ('cred', 'group_info', 'user_struct', 'ucounts')
AGGREGATES = (STRUCT, UNION)
# What tracepoints write, into a buffer that root reads.
TRACES = 'trace_event_raw_'


def is_wanted(btf, number, kind):
    if kind == PTR:
        target = btf.unqualified(btf.target(number))
        return btf.kind(target) in (STRUCT, FWD) and btf.name(target) in POINTED_AT
    return kind in (TYPEDEF, *AGGREGATES) and btf.name(number) in VALUES


class Scan:
    """Of a kernel first, and then, with `kernel` as what is known, of each of its modules."""

    def __init__(self, btf, kernel=None):
        self.btf = btf
        self.wanted = set(kernel.wanted) if kernel else set()
        kinds = [(number, btf.kind(number)) for number in btf.own()]
        self.wanted.update(number for number, kind in kinds if is_wanted(btf, number, kind))
        self.wanted.update(number for number, kind in kinds if kind == ARRAY and btf.element(number) in self.wanted)
        self.aggregates = [(number, btf.name(number)) for number, kind in kinds if kind in AGGREGATES]
        self.aggregates += [(btf.target(number), btf.name(number)) for number, kind in kinds
                            if kind == TYPEDEF and btf.kind(btf.target(number)) in AGGREGATES]

    def members(self):
        """As pairs of the name of a structure and of a member of it."""
        return {(name, member) for number, name in self.aggregates
                if name and name not in VALUES and not name.startswith(TRACES) for member in self.members_of(number, '')}

    def members_of(self, number, prefix):
        for name, member in self.btf.members(number):
            member = self.btf.unqualified(member)
            if member in self.wanted:
                yield prefix + name
            elif self.btf.kind(member) in AGGREGATES and not self.btf.name(member):
                yield from self.members_of(member, prefix + name + '.' if name else prefix)
