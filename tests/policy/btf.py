# SPDX-License-Identifier: LGPL-2.1-or-later
"""Type information of a kernel (BTF), as far as it takes to find members of structures by their types. Format:
https://docs.kernel.org/bpf/btf.html."""
import array, struct

MAGIC = 0xeb9f
(INT, PTR, ARRAY, STRUCT, UNION, ENUM, FWD, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, FUNC_PROTO, VAR, DATASEC, FLOAT,
 DECL_TAG, TYPE_TAG, ENUM64) = range(1, 20)
# How many words follow the three that each type has: so many, and so many for each of its `vlen` elements.
EXTRA = {INT: (1, 0), ARRAY: (3, 0), STRUCT: (0, 3), UNION: (0, 3), ENUM: (0, 2), FUNC_PROTO: (0, 2), VAR: (1, 0),
         DATASEC: (0, 3), DECL_TAG: (1, 0), ENUM64: (0, 3)}
TRANSPARENT = (VOLATILE, CONST, RESTRICT, TYPE_TAG)


class Btf:
    """The types of a kernel, or of a module, which go on where those of the kernel (`base`) end."""

    def __init__(self, data, base=None):
        magic, _, _, header, type_offset, type_size, string_offset, string_size = struct.unpack_from('<HBBIIIII', data)
        if magic != MAGIC:
            raise ValueError('no type information')
        self.base = base
        self.first = base.end if base else 0
        self.string_start = base.string_end if base else 0
        self.strings = data[header + string_offset:header + string_offset + string_size]
        self.string_end = self.string_start + string_size
        # The first type, "void", is in no file.
        self.words = array.array('I', bytes(0 if base else 12) + data[header + type_offset:][:type_size])
        self.places = self.find_places()
        self.end = self.first + len(self.places)

    def find_places(self):
        """Where each type begins."""
        places, words, place = array.array('I'), self.words, 0
        while place < len(words):
            places.append(place)
            info = words[place + 1]
            fixed, each = EXTRA.get(info >> 24 & 0x1f, (0, 0))
            place += 3 + fixed + each * (info & 0xffff)
        return places

    def own(self):
        """The numbers of the types that are not those of the kernel."""
        return range(self.first, self.end)

    def string(self, offset):
        if offset < self.string_start:
            return self.base.string(offset)
        offset -= self.string_start
        return self.strings[offset:self.strings.index(b'\0', offset)].decode()

    def at(self, number):
        """The words that hold a type, and where it begins in them."""
        if number < self.first:
            return self.base.at(number)
        return self.words, self.places[number - self.first]

    def kind(self, number):
        words, place = self.at(number)
        return words[place + 1] >> 24 & 0x1f

    def name(self, number):
        words, place = self.at(number)
        return self.string(words[place])

    def target(self, number):
        """What a pointer, a typedef or a qualifier is about."""
        words, place = self.at(number)
        return words[place + 2]

    def element(self, number):
        """What an array consists of."""
        words, place = self.at(number)
        return words[place + 3]

    def members(self, number):
        """Name and type of each member of a structure or union."""
        words, place = self.at(number)
        for member in range(place + 3, place + 3 + 3 * (words[place + 1] & 0xffff), 3):
            yield self.string(words[member]), words[member + 1]

    def unqualified(self, number):
        while self.kind(number) in TRANSPARENT:
            number = self.target(number)
        return number
