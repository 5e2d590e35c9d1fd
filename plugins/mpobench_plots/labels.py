"""Labels of curves and panels."""

from __future__ import annotations

import re


def in_lines(spec: str, width: int) -> str:
    """A spec over several lines of about ``width`` characters, broken behind its colon and its commas."""
    lines = [""]
    for piece in re.findall(r"[^,:]*[,:]|[^,:]+", spec):
        if lines[-1] and len(lines[-1] + piece) > width:
            lines.append("")
        lines[-1] += piece
    return "\n".join(lines)
