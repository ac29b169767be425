# SPDX-License-Identifier: LGPL-2.1-or-later
"""The type information of a kernel that does not run: out of its image and of the files of its modules."""
import lzma, os, struct, subprocess

OPENERS = {'.ko': open, '.xz': lzma.open}
SECTOR = 512


class Unreadable(Exception):
    """A sentence for the user."""


def section(elf, wanted):
    """The content of a section of a 64-bit ELF file, or None."""
    offset, = struct.unpack_from('<Q', elf, 0x28)
    size, count, names = struct.unpack_from('<HHH', elf, 0x3a)
    headers = [struct.unpack_from('<IIQQQQ', elf, offset + number * size) for number in range(count)]
    for name, _, _, _, start, length in headers:
        begin = headers[names][4] + name
        if elf[begin:elf.index(b'\0', begin)] == wanted:
            return elf[start:start + length]
    return None


def unpacked(packed):
    if packed.startswith(b'\xfd7zXZ'):
        return lzma.LZMADecompressor().decompress(packed)
    if packed.startswith(b'\x28\xb5\x2f\xfd'):
        # Behind the data there is its length, which zstd(1) reports as garbage.
        return subprocess.run(['zstd', '-dc'], input=packed, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL).stdout
    raise Unreadable('the kernel is packed in a way that is not known here')


def of_kernel(image):
    """Of a bzImage; see the kernel's Documentation/arch/x86/boot.rst."""
    with open(image, 'rb') as file:
        data = file.read()
    setup = (data[0x1f1] or 4) + 1
    offset, length = struct.unpack_from('<II', data, 0x248)
    start = setup * SECTOR + offset
    found = section(unpacked(data[start:start + length]), b'.BTF')
    if found is None:
        raise Unreadable('%s has no type information' % image)
    return found


def of_modules(directory):
    """Name and type information of each module below a directory that has some."""
    for path, _, files in sorted(os.walk(directory)):
        for file in sorted(files):
            opener = OPENERS.get(os.path.splitext(file)[1])
            if not opener or '.ko' not in file:
                continue
            with opener(os.path.join(path, file), 'rb') as module:
                found = section(module.read(), b'.BTF')
            if found:
                yield file.split('.')[0].replace('-', '_'), found
