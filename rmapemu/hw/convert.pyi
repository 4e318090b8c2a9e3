# SPDX-License-Identifier: GPL-2.0-only
from rmapemu.hw.format import Format
from rmapemu.hw.ops import Backend

def format_of(backend: Backend) -> Format: ...
