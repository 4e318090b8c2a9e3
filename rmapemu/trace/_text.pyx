# SPDX-License-Identifier: GPL-2.0-only
# cython: language_level=3, boundscheck=False, wraparound=False, initializedcheck=False
"""Text of memory traces into arrays, one pass over whole blocks, without the GIL.

Models nothing of the kernel: the lines that valgrind's lackey prints, and `hexaddr R|W`.
A line of lackey's takes 5 to 8 ns: benchmarks/bench_trace.py has the numbers beside polars'.

A line, as lackey prints it with "%08lx,%lu" (the stack has ten digits or more):

    byte  0  1  2 | 3 ......... 10 | 11 ...        |   |
          I  ·  · | eight digits   | more digits   | , | size \\n
          ·  L  · |                |               |   |
"""

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memchr

include "_digits.pxi"

cdef extern from * nogil:
    int __builtin_clzll(unsigned long long value)

cdef enum:
    KIND_READ = 0
    KIND_WRITE = 1
    KIND_EXEC = 2
    MODIFY = 4                      # with KIND_WRITE: lackey's M, a load and a store of one instruction
    NO_KIND = 8
    FAST_BYTES = 40                 # a line as lackey writes it, and the eight bytes that the fast path may read on

LINE_MAX_BYTES = 1 << 16
ACCESS_MAX_BYTES = 1 << 20
cdef size_t LINE_LIMIT = LINE_MAX_BYTES
cdef uint64_t SIZE_LIMIT = ACCESS_MAX_BYTES

cdef enum:                          # what became of a line
    LINE_ACCESS = 0
    LINE_OTHER = 1                  # of somebody else: skipped and counted
    LINE_BAD = 2                    # begins as an access and is none
    LINE_ADDRESS = 3                # more than 64 bits
    LINE_SIZE = 4                   # 0, or more than ACCESS_MAX_BYTES
    LINE_END = 5                    # the last byte lies beyond 2**64
    LINE_BINARY = 6                 # a zero byte
    LINE_LONG = 7                   # more than LINE_MAX_BYTES

REASONS = {
    LINE_ADDRESS: "an address of at most 64 bits",
    LINE_SIZE: f"a size from 1 to {ACCESS_MAX_BYTES} bytes",
    LINE_END: "an access that ends below 2**64",
    LINE_BINARY: "text (this has zero bytes)",
    LINE_LONG: f"lines of at most {LINE_MAX_BYTES} bytes",
}
"""What was expected, by result code; LINE_BAD depends on the format."""

cdef uint32_t PREFIX[16]            # the three bytes that a lackey line begins with, by its two first bytes' low bits
cdef uint8_t PREFIX_KIND[16]


cdef int fill_prefixes() except -1:
    cdef int i
    for i in range(16):
        PREFIX[i] = 0xffffffff
        PREFIX_KIND[i] = NO_KIND
    for text, kind in ((b"I  ", KIND_EXEC), (b" L ", KIND_READ), (b" S ", KIND_WRITE), (b" M ", KIND_WRITE | MODIFY)):
        i = (text[0] | text[1]) & 15
        PREFIX[i] = text[0] | text[1] << 8 | text[2] << 16
        PREFIX_KIND[i] = kind
    return 0


fill_prefixes()


cdef struct access:
    uint64_t address                # first byte touched
    uint64_t size_bytes
    uint8_t kind                    # KIND_*, MODIFY may be set


cdef inline uint8_t lackey_kind(const uint8_t *p) noexcept nogil:
    cdef int i = (p[0] | p[1]) & 15
    if PREFIX[i] != (p[0] | <uint32_t>p[1] << 8 | <uint32_t>p[2] << 16):
        return NO_KIND
    return PREFIX_KIND[i]


cdef inline const uint8_t *lackey_fast(const uint8_t *p, access *out) noexcept nogil:
    """The next line's start if this one has lackey's own shape, else NULL. Reads FAST_BYTES at most."""
    cdef uint64_t head, tail, stop
    cdef const uint8_t *q
    cdef int more, first, second
    out.kind = lackey_kind(p)
    head = load_big(p + 3)
    tail = load_big(p + 11)
    stop = not_hex(tail)
    if out.kind == NO_KIND or not_hex(head) or not stop:
        return NULL
    more = __builtin_clzll(stop) >> 3
    out.address = digits8(head) << 4 * more | digits8(tail >> 8 * (7 - more) >> 8)
    q = p + 11 + more
    first = q[1] - 48
    if q[0] != 44 or first < 0 or first > 9:
        return NULL
    q += 2
    if q[0] != 10:
        second = q[0] - 48
        if second < 0 or second > 9 or q[1] != 10:
            return NULL
        first = first * 10 + second
        q += 1
    out.size_bytes = first
    if first == 0 or out.address + first - 1 < out.address:
        return NULL
    return q + 1


cdef int not_an_access(const uint8_t *p, const uint8_t *end) noexcept nogil:
    """A line that begins as an access and does not go on as one: cut short or corrupt, or just somebody's text?"""
    while p < end:
        if NIBBLE[p[0]] == 255 and p[0] not in (43, 44, 45, 88, 120):      # + , - X x
            return LINE_OTHER
        p += 1
    return LINE_BAD


cdef int lackey_slow(const uint8_t *p, const uint8_t *end, access *out) noexcept nogil:
    """One line without its end of line, however it is written. LINE_*."""
    cdef const uint8_t *at = p + 3
    cdef int found
    if memchr(p, 0, end - p) != NULL:
        return LINE_BINARY
    out.kind = lackey_kind(p) if end - p >= 3 else NO_KIND
    if out.kind == NO_KIND:
        return LINE_OTHER
    found = hex_number(&at, end, &out.address)
    if found == 0 or at == end or at[0] != 44:
        return not_an_access(p + 3, end)
    at += 1
    if found < 0:
        return LINE_ADDRESS
    found = decimal_number(&at, end, &out.size_bytes)
    if found == 0 or at != end:
        return not_an_access(p + 3, end)
    return LINE_SIZE if found < 0 else check_range(out)


cdef inline int check_range(access *out) noexcept nogil:
    if out.size_bytes == 0 or out.size_bytes > SIZE_LIMIT:
        return LINE_SIZE
    if out.address + out.size_bytes - 1 < out.address:
        return LINE_END
    return LINE_ACCESS


cdef int rw_line(const uint8_t *p, const uint8_t *end, access *out) noexcept nogil:
    """`[0x]hexaddr R|W`; empty lines and lines that begin with # are somebody else's. LINE_*."""
    cdef const uint8_t *gap
    cdef int found
    p = skip_blanks(p, end)
    if p == end or p[0] == 35:
        return LINE_OTHER
    if end - p > 2 and p[0] == 48 and (p[1] | 32) == 120:
        p += 2
    found = hex_number(&p, end, &out.address)
    gap = p
    p = skip_blanks(p, end)
    if found == 0 or p == gap or p == end or (p[0] | 32) not in (114, 119):
        return LINE_BINARY if memchr(gap, 0, end - gap) != NULL else LINE_BAD
    out.kind = KIND_WRITE if (p[0] | 32) == 119 else KIND_READ
    out.size_bytes = 1
    if skip_blanks(p + 1, end) != end:
        return LINE_BAD
    return LINE_ADDRESS if found < 0 else LINE_ACCESS


cdef class Scanner:
    """Lines of one trace into arrays; the caller carries what is left of a block over to the next one.

    lackey: bool, lackey's lines, else `hexaddr R|W`; instructions: bool, keep lackey's I lines.
    `error` is 0, or the code of the line at which scan() stopped (a key of REASONS, or ERROR_LINE).
    """
    cdef readonly unsigned long long lines      # whole lines read, skipped ones included
    cdef readonly unsigned long long skipped    # lines that are no accesses
    cdef readonly unsigned long long modifies   # lackey's M
    cdef readonly int error
    cdef bint lackey
    cdef bint instructions

    def __init__(self, *, bint lackey, bint instructions=True):
        self.lackey = lackey
        self.instructions = instructions

    def scan(self, const uint8_t[::1] text, Py_ssize_t start, Py_ssize_t stop,
             uint64_t[::1] address, uint32_t[::1] size, uint8_t[::1] kind, Py_ssize_t filled):
        """Read text[start:stop] into the arrays from index `filled`: (where it stopped, how far they are filled).

        Stops before a line without end, at a full array, or at a line that is wrong (`error`).
        """
        cdef Py_ssize_t room = min(address.shape[0], size.shape[0], kind.shape[0])
        cdef const uint8_t *p
        cdef const uint8_t *begin
        if not 0 <= start <= stop <= text.shape[0] or not 0 <= filled <= room:
            raise IndexError("outside of the arrays")
        if start == stop or filled == room:
            return start, filled
        begin = &text[0]
        p = begin + start
        with nogil:
            filled = self.block(&p, begin + stop, &address[0], &size[0], &kind[0], filled, room)
        return p - begin, filled

    cdef Py_ssize_t block(self, const uint8_t **at, const uint8_t *end, uint64_t *address, uint32_t *size,
                          uint8_t *kind, Py_ssize_t filled, Py_ssize_t room) noexcept nogil:
        cdef const uint8_t *p = at[0]
        cdef const uint8_t *following
        cdef Py_ssize_t before = filled
        cdef access got
        cdef unsigned long long modifies = 0, others = 0, fetches = 0
        cdef int result
        cdef bint lackey = self.lackey, instructions = self.instructions
        while filled < room:
            following = lackey_fast(p, &got) if lackey and end - p >= FAST_BYTES else NULL
            if following == NULL:
                result = self.line(p, end, &following, &got)
                if result == LINE_OTHER and following != NULL:
                    others += 1
                    p = following
                    continue
                if result != LINE_ACCESS:
                    break
            p = following
            modifies += got.kind >> 2
            if got.kind == KIND_EXEC and not instructions:
                fetches += 1
                continue
            address[filled] = got.address
            size[filled] = <uint32_t>got.size_bytes
            kind[filled] = got.kind & 3
            filled += 1
        at[0] = p
        self.modifies += modifies
        self.skipped += others
        self.lines += others + fetches + <unsigned long long>(filled - before)
        return filled

    cdef int line(self, const uint8_t *p, const uint8_t *end, const uint8_t **following, access *got) noexcept nogil:
        """The careful way for one line: LINE_*; LINE_OTHER and *following NULL where its end is not there yet."""
        cdef const uint8_t *newline = <const uint8_t *>memchr(p, 10, end - p) if end > p else NULL
        cdef const uint8_t *last
        cdef int result
        following[0] = NULL
        if <size_t>((newline if newline != NULL else end) - p) > LINE_LIMIT:
            self.error = LINE_LONG
            return LINE_LONG
        if newline == NULL:
            return LINE_OTHER
        last = newline - 1 if newline > p and (newline - 1)[0] == 13 else newline
        result = lackey_slow(p, last, got) if self.lackey else rw_line(p, last, got)
        if result > LINE_OTHER:
            self.error = result
        else:
            following[0] = newline + 1
        return result


ERROR_LINE = LINE_BAD


def parse_numbers(const uint8_t[::1] text, const int[::1] offsets, bint bare_hex, uint64_t[::1] out):
    """Strings of an Arrow column into numbers: text[offsets[i]:offsets[i + 1]] is number i.

    `0x...` is hexadecimal, other numbers are decimal, or hexadecimal too with bare_hex. Blanks around are ignored.
    Returns -1, or the index of the first string that is no number of 64 bits.
    """
    cdef Py_ssize_t i, n = out.shape[0], bytes_total = text.shape[0], wrong = -1
    cdef const uint8_t *base = &text[0] if bytes_total else NULL
    if offsets.shape[0] != n + 1:
        raise IndexError("one offset more than numbers is needed")
    with nogil:
        for i in range(n):
            if not 0 <= offsets[i] <= offsets[i + 1] <= bytes_total \
                    or not one_number(base + offsets[i], base + offsets[i + 1], bare_hex, &out[i]):
                wrong = i
                break
    return wrong


cdef bint one_number(const uint8_t *p, const uint8_t *end, bint bare_hex, uint64_t *value) noexcept nogil:
    cdef int found
    p = skip_blanks(p, end)
    if end - p > 2 and p[0] == 48 and (p[1] | 32) == 120:
        p += 2
        bare_hex = True
    found = hex_number(&p, end, value) if bare_hex else decimal_number(&p, end, value)
    return found > 0 and skip_blanks(p, end) == end
