# SPDX-License-Identifier: GPL-2.0-only
# Numbers in text, eight hexadecimal digits at once or any number of them one by one.
# Models nothing of the kernel; included by _text.pyx. Digits are checked and decoded in a word of eight bytes without
# a branch, which is what the speed comes from: a branch for each digit is mispredicted too often.

from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

cdef extern from "endian.h" nogil:
    uint64_t be64toh(uint64_t big)

cdef uint64_t ONES = 0x0101010101010101
cdef uint64_t TOPS = 0x8080808080808080

cdef uint8_t NIBBLE[256]            # value of a hexadecimal digit, 255 for other bytes


cdef int fill_nibbles() except -1:
    cdef int i
    for i in range(256):
        NIBBLE[i] = 255
    for digit in b"0123456789abcdefABCDEF":
        NIBBLE[digit] = int(chr(digit), 16)
    return 0


fill_nibbles()


cdef inline uint64_t load_big(const uint8_t *p) noexcept nogil:
    """Eight bytes, the first of them on top: the order of the digits in a number."""
    cdef uint64_t word
    memcpy(&word, p, 8)
    return be64toh(word)


cdef inline uint64_t not_hex(uint64_t w) noexcept nogil:
    """Bit 7 of every byte that is none of 0-9a-f (lackey prints no capitals)."""
    cdef uint64_t low = w & ~TOPS
    cdef uint64_t digit = (low + (0x80 - 0x30) * ONES) & ~(low + (0x7f - 0x39) * ONES)
    cdef uint64_t letter = (low + (0x80 - 0x61) * ONES) & ~(low + (0x7f - 0x66) * ONES)
    return (~(digit | letter) | w) & TOPS


cdef inline uint64_t digits8(uint64_t w) noexcept nogil:
    """The number that eight digits stand for; a byte 0 counts as the digit 0."""
    w = (w & 0x0f * ONES) + 9 * ((w >> 6) & ONES)
    w = (w | w >> 4) & <uint64_t>0x00ff00ff00ff00ff
    w = (w | w >> 8) & <uint64_t>0x0000ffff0000ffff
    return (w | w >> 16) & <uint64_t>0xffffffff


cdef inline int hex_number(const uint8_t **at, const uint8_t *end, uint64_t *value) noexcept nogil:
    """Digits read from *at, -1 if they do not fit 64 bits; *at moves behind them."""
    cdef const uint8_t *p = at[0]
    cdef int digits = 0
    cdef bint lost = False
    value[0] = 0
    while p < end and NIBBLE[p[0]] != 255:
        lost |= value[0] >> 60 != 0
        value[0] = value[0] << 4 | NIBBLE[p[0]]
        digits = 1
        p += 1
    at[0] = p
    return -1 if lost else digits


cdef inline int decimal_number(const uint8_t **at, const uint8_t *end, uint64_t *value) noexcept nogil:
    """As hex_number, base ten."""
    cdef const uint8_t *p = at[0]
    cdef int digits = 0
    cdef bint lost = False
    cdef uint64_t digit
    value[0] = 0
    while p < end and 48 <= p[0] <= 57:
        digit = p[0] - 48
        lost |= value[0] > (<uint64_t>-1 - digit) // 10
        value[0] = value[0] * 10 + digit
        digits = 1
        p += 1
    at[0] = p
    return -1 if lost else digits


cdef inline const uint8_t *skip_blanks(const uint8_t *p, const uint8_t *end) noexcept nogil:
    while p < end and (p[0] == 32 or p[0] == 9):
        p += 1
    return p
