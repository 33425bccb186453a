"""Ids and text: one spelling for what looks the same, and no invisible characters."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from kpiopt.reading.tables.messages import Explanation, show

_EDGES = " \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000"
_NONCHARACTERS = r"\x{FDD0}-\x{FDEF}\x{FFFE}\x{FFFF}"
# Control and format characters, line separators, and spaces that only look like a space.
_REFUSED_IN_IDS = rf"[\p{{Cc}}\p{{Cf}}\p{{Zl}}\p{{Zp}}{_NONCHARACTERS}]|[\p{{Zs}}--\x20]"
# Text for people may have line breaks, tabs and joiners (needed by some scripts), but nothing a workbook cannot hold.
_REFUSED_IN_TEXT = rf"[\p{{Cc}}--[\n\t]]|[{_NONCHARACTERS}]"
# Only these scripts have letters that look the same; Japanese beside Latin, say, confuses nobody.
_LOOK_ALIKE_SCRIPTS = ("Latin", "Cyrillic", "Greek", "Armenian")


@dataclass(frozen=True, slots=True)
class CleanText:
    """A text column after cleaning.

    Attributes
    ----------
    text : (n,) series of str
        Without spaces around; ids also in Unicode normal form C.
    changed, refused, mixed : (n,) bool
        Where cleaning changed something; where a refused character stands; where scripts are mixed in one id.
    """

    text: pl.Series
    changed: NDArray[np.bool_]
    refused: NDArray[np.bool_]
    mixed: NDArray[np.bool_]


def clean_ids(raw: pl.Series) -> CleanText:
    """Trim ids, bring them to normal form C, and mark refused characters and mixed scripts."""
    trimmed = raw.str.strip_chars(_EDGES)
    none = np.zeros(len(raw), dtype=np.bool_)
    foreign = trimmed.str.contains(r"[^\x20-\x7E]")
    if not foreign.any():
        return CleanText(trimmed, (trimmed != raw).to_numpy(), none, none)
    text = trimmed.str.normalize("NFC")
    return CleanText(text, (text != raw).to_numpy(), text.str.contains(_REFUSED_IN_IDS).to_numpy(), _mixed(text))


def clean_text(raw: pl.Series) -> CleanText:
    """Trim text for people and mark refused characters; its spelling is left as it is."""
    text = raw.str.strip_chars(_EDGES)
    none = np.zeros(len(raw), dtype=np.bool_)
    return CleanText(text, none, text.str.contains(_REFUSED_IN_TEXT).to_numpy(), none)


def _mixed(text: pl.Series) -> NDArray[np.bool_]:
    scripts = sum(text.str.contains(rf"\p{{{script}}}").to_numpy().astype(np.int8) for script in _LOOK_ALIKE_SCRIPTS)
    return np.asarray(scripts) > 1


def explain_character(value: str, *, is_id: bool) -> Explanation:
    """Say which character of a text is refused."""
    bad = [c for c in value if _is_refused(c, is_id)]
    points = ", ".join(f"U+{ord(c):04X} {unicodedata.name(c, 'CONTROL CHARACTER')}" for c in dict.fromkeys(bad))
    rule = "ids have no control, format or special space characters" if is_id else "text has no control characters"
    return "E-table-control", f"{show(value)} contains {points}", rule, "remove or retype the character"


def _is_refused(character: str, is_id: bool) -> bool:
    category = unicodedata.category(character)
    if not is_id:
        return (category == "Cc" and character not in "\n\t") or _is_noncharacter(character)
    return (
        category in ("Cc", "Cf", "Zl", "Zp") or _is_noncharacter(character) or (category == "Zs" and character != " ")
    )


def _is_noncharacter(character: str) -> bool:
    return 0xFDD0 <= ord(character) <= 0xFDEF or ord(character) in (0xFFFE, 0xFFFF)


def spell_out(value: str) -> str:
    """Quote an id and name the code points of its letters beyond ASCII, to tell twins apart."""
    points = dict.fromkeys(c for c in value if not 0x20 <= ord(c) <= 0x7E)
    names = ", ".join(f"{c if c.isprintable() else ''} U+{ord(c):04X}".strip() for c in points)
    return f"{show(value)} ({names})" if names else show(value)


def clean_header(name: str) -> str:
    """Trim a column's name and bring it to Unicode normal form C."""
    return unicodedata.normalize("NFC", name.strip(_EDGES))
