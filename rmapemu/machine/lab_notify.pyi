# SPDX-License-Identifier: GPL-2.0-only
from collections.abc import Callable

from rmapemu.machine.lab_ksm import LabKsm
from rmapemu.machine.page import Page
from rmapemu.machine.process import Process

NOTIFIER_OPS: tuple[str, ...]

class LabNotify(LabKsm):
    def notifier(
        self,
        mm: Process,
        *,
        clear_flush_young: Callable[[Process, int], object] | bool | None = ...,
        invalidate_page: Callable[[Process, int], object] | bool | None = ...,
        invalidate_range_start: Callable[[Process, int, int], object] | bool | None = ...,
        invalidate_range_end: Callable[[Process, int, int], object] | bool | None = ...,
        release: Callable[[Process], object] | bool | None = ...,
    ) -> int: ...
    def notifier_remove(self, number: int) -> None: ...
    def memcg(self, mm: Process, group: int | None = ...) -> int: ...
    def charge(self, page: Page, group: int, cache: bool = ...) -> None: ...
    def uncharge(self, page: Page) -> None: ...
    def charged_to(self, page: Page) -> int | None: ...
    def memcg_stat(self, group: int, name: str, value: int | None = ...) -> int: ...
