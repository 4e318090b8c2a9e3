# SPDX-License-Identifier: GPL-2.0-only
from typing import Any

from rmapemu.machine.lab_page import LabPage
from rmapemu.machine.page import Page
from rmapemu.machine.process import Process
from rmapemu.machine.pte import Pte

class LabPte(LabPage):
    def set_pte(
        self,
        mm: Process,
        address: int,
        page: Page | None = ...,
        *,
        write: bool = ...,
        young: bool = ...,
        dirty: bool = ...,
        protnone: bool = ...,
        special: bool = ...,
        swap: tuple[int, int] | None = ...,
        migration: Page | None = ...,
        hwpoison: Page | None = ...,
        file: int | None = ...,
        raw: int | None = ...,
    ) -> Pte: ...
    def _present(self, mm_number: Any, va: Any, pfn: int, write: bool, young: bool, dirty: bool, protnone: bool, special: bool) -> Any: ...
    def get_pte(self, mm: Process, address: int) -> Pte | None: ...
    def set_pmd(
        self,
        mm: Process,
        address: int,
        page: Page | None = ...,
        *,
        write: bool = ...,
        young: bool = ...,
        dirty: bool = ...,
        splitting: bool = ...,
        migration: Page | None = ...,
    ) -> None: ...
    def get_pmd(self, mm: Process, address: int) -> int | None: ...
    def touch(self, mm: Process, address: int, kind: str = ...) -> bool: ...
    def storage_key(self, page: Page | int, value: int | None = ...) -> int: ...
