# SPDX-License-Identifier: GPL-2.0-only
"""Somebody else's MMU: unicorn's x86-64 and s390x CPUs, walking the table bytes of ours, in user mode.

Physical memory is FRAMES frames; the first TABLES hold our tables, the others are data and carry their number as a marker.
"""

import unicorn
from unicorn import s390x_const, x86_const

TABLES, FRAMES, PAGE = 256, 2048, 4096
CODE_PFN, CODE_VA = 300, 0x1000
"""One page of code, which the address space must map for fetches at CODE_VA."""

LOAD, STORE, FETCH = 0x10, 0x20, 0x40
"""Offsets of the instructions in the code page, and, in every data frame, of one that gives the marker when it is fetched."""


class Cpu:
    """A CPU over a copy of the table bytes. `access` gives the frame that it reached, or None for a fault."""

    order = "little"

    def __init__(self, uc) -> None:
        self.uc = uc
        uc.mem_map(0, FRAMES * PAGE)

    def marker(self, pfn: int) -> bytes:
        return pfn.to_bytes(8, self.order)

    def fill(self, tables: bytes, code: dict[int, bytes], fetched) -> None:
        """Tables, markers and code; `fetched(pfn)` are the bytes at FETCH of a data frame."""
        self.uc.mem_write(0, tables)
        for pfn in range(TABLES, FRAMES):
            self.uc.mem_write(pfn * PAGE, self.marker(pfn))
            if fetched is not None:
                self.uc.mem_write(pfn * PAGE + FETCH, fetched(pfn))
        for offset, text in code.items():
            self.uc.mem_write(CODE_PFN * PAGE + offset, text)

    def stored(self, token: int, candidates) -> int:
        """The one frame that has `token` at offset 8."""
        found = [p for p in candidates if self.uc.mem_read(p * PAGE + 8, 8) == self.marker(token)]
        assert len(found) == 1, found
        return found[0]


class X86(Cpu):
    """Long mode, CPL 3 (by SYSRET), NX and CR0.WP on."""

    def __init__(self, memory, root: int) -> None:
        super().__init__(unicorn.Uc(unicorn.UC_ARCH_X86, unicorn.UC_MODE_64))
        tables = memory[:TABLES * PAGE // 8].tobytes()
        code = {0: b"\x48\x0f\x07", LOAD: b"\x48\x8b\x06", STORE: b"\x48\x89\x06"}      # sysretq; mov rax,[rsi]; mov [rsi],rax
        self.fill(tables, code, lambda pfn: b"\x48\xb8" + self.marker(pfn))             # mov rax,pfn
        uc, reg = self.uc, x86_const
        uc.reg_write(reg.UC_X86_REG_CR3, root)
        uc.reg_write(reg.UC_X86_REG_CR4, uc.reg_read(reg.UC_X86_REG_CR4) | 0x20)        # PAE
        uc.reg_write(reg.UC_X86_REG_MSR, (0xC0000080, 0xD01))                           # EFER: NXE, LMA, LME, SCE
        uc.reg_write(reg.UC_X86_REG_MSR, (0xC0000081, 0x13 << 48 | 8 << 32))            # STAR
        uc.reg_write(reg.UC_X86_REG_CR0, 0x80010011)                                    # PG, WP, ET, PE
        uc.reg_write(reg.UC_X86_REG_RCX, CODE_VA + LOAD)
        uc.reg_write(reg.UC_X86_REG_R11, 2)
        uc.emu_start(CODE_VA, CODE_VA + LOAD)
        assert uc.reg_read(reg.UC_X86_REG_CS) & 3 == 3
        self.user = uc.context_save()

    def access(self, va: int, kind: str, candidates, token: int):
        uc, reg = self.uc, x86_const
        uc.context_restore(self.user)
        uc.reg_write(reg.UC_X86_REG_RSI, va + (8 if kind == "w" else 0))
        uc.reg_write(reg.UC_X86_REG_RAX, token)
        first, size = {"r": (CODE_VA + LOAD, 3), "w": (CODE_VA + STORE, 3), "x": (va + FETCH, 10)}[kind]
        try:
            uc.emu_start(first, first + size)
        except unicorn.UcError:
            return None
        return self.stored(token, candidates) if kind == "w" else uc.reg_read(reg.UC_X86_REG_RAX)

    def tables(self) -> bytes:
        """The table frames as they are now."""
        return bytes(self.uc.mem_read(0, TABLES * PAGE))


class S390(Cpu):
    """Problem state with DAT by the primary ASCE; keys are read in supervisor state without DAT."""

    order = "big"
    DAT, PROBLEM, MODE_64 = 1 << 58, 1 << 48, 0x180000000
    SUPERVISOR_CODE = 0x100000 - PAGE
    ISKE, SSKE, RRBE = (bytes.fromhex(text) for text in ("b2290012", "b22b0012", "b22a0012"))

    def __init__(self, memory, root: int, levels: int) -> None:
        super().__init__(unicorn.Uc(unicorn.UC_ARCH_S390X, unicorn.UC_MODE_BIG_ENDIAN))
        tables = memory[:TABLES * PAGE // 8].byteswap().tobytes()                       # entries are big-endian there
        code = {LOAD: bytes.fromhex("e31020000004"), STORE: bytes.fromhex("e31020000024")}      # lg 1,0(2); stg 1,0(2)
        self.fill(tables, code, None)
        self.uc.reg_write(s390x_const.UC_S390X_REG_CR1, root | (levels - 2) << 2 | 3)   # ASCE: table type and length
        for pfn in range(TABLES, FRAMES):
            self.key_op(self.SSKE, pfn, 0)

    def access(self, va: int, kind: str, candidates, token: int):
        uc, reg = self.uc, s390x_const
        uc.reg_write(reg.UC_S390X_REG_PSWM, self.DAT | self.PROBLEM | self.MODE_64)
        uc.reg_write(reg.UC_S390X_REG_R2, va + (8 if kind == "w" else 0))
        uc.reg_write(reg.UC_S390X_REG_R1, token)
        first = CODE_VA + (STORE if kind == "w" else LOAD)
        try:
            uc.emu_start(first, first + 6)
        except unicorn.UcError:
            return None
        return self.stored(token, candidates) if kind == "w" else uc.reg_read(reg.UC_S390X_REG_R1)

    def key_op(self, op: bytes, pfn: int, value: int = 0) -> tuple[int, int]:
        """ISKE, SSKE or RRBE on a frame: (register 1, condition code)."""
        uc, reg = self.uc, s390x_const
        uc.reg_write(reg.UC_S390X_REG_PSWM, self.MODE_64)
        uc.mem_write(self.SUPERVISOR_CODE, op)
        uc.reg_write(reg.UC_S390X_REG_R1, value)
        uc.reg_write(reg.UC_S390X_REG_R2, pfn * PAGE)
        uc.emu_start(self.SUPERVISOR_CODE, self.SUPERVISOR_CODE + 4)
        return uc.reg_read(reg.UC_S390X_REG_R1), uc.reg_read(reg.UC_S390X_REG_PSWM) >> 44 & 3
