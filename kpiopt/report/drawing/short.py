"""Short amounts: a few digits, thousands and millions named, enough digits to tell two amounts apart."""

from __future__ import annotations

from collections.abc import Sequence


def short(value: float, digits: int = 3, *, sign: bool = False) -> str:
    """Write an amount with a few digits, as "1.64 M" or "+98,027".

    Examples
    --------
    >>> short(1_635_400), short(0.06657), short(41.40), short(98_027, sign=True)
    ('1.64 M', '0.0666', '41.4', '+98,027')
    """
    scale, suffix = _scale(value, 1e5)
    return _signed(value, _stripped(_rounded(abs(value) / scale, digits)), sign=sign) + suffix


def short_steps(values: Sequence[float]) -> list[str]:
    """Write changes with their signs, all in the scale of the largest, as "+210 k" and "-9.2 k"."""
    scale, suffix = _scale(max(map(abs, values), default=0.0), 1e4)
    texts = [_signed(value, _stripped(_rounded(abs(value) / scale, 3)), sign=True) for value in values]
    return [text + suffix if text != "0" else text for text in texts]


def short_ticks(values: Sequence[float]) -> list[str]:
    """Write the values of an axis, all in the scale of the largest: "60 k" beside "120 k", with just their digits."""
    scale, suffix = _scale(max(map(abs, values), default=0.0), 1e5)
    for decimals in range(9):
        sizes = [round(abs(value) / scale, decimals) for value in values]
        if all(abs(s - abs(v) / scale) <= 1e-9 * s + 1e-15 for s, v in zip(sizes, values, strict=True)):
            texts = [
                _signed(v, _stripped(f"{s:,.{decimals}f}"), sign=False) for v, s in zip(values, sizes, strict=True)
            ]
            return [text if text == "0" else text + suffix for text in texts]
    return [f"{value:,.6g}" for value in values]


def short_pair(first: float, second: float) -> tuple[str, str]:
    """Write two amounts alike, with as many digits as it takes to tell them apart."""
    size = max(abs(first), abs(second))
    scale, suffix = _scale(size, 1e5)
    sizes = [abs(value) / scale for value in (first, second)]
    for digits in range(4, 12):
        decimals = len(_rounded(size / scale, digits).partition(".")[2])
        texts = [f"{value:,.{decimals}f}" for value in sizes]
        if texts[0] != texts[1] or abs(first) == abs(second):
            break
    while "." in texts[0] and all(text[-1] in "0." for text in texts):
        texts = [text[:-1] for text in texts]
    before, after = (_signed(v, text, sign=False) + suffix for v, text in zip((first, second), texts, strict=True))
    return before, after


def _scale(size: float, thousands: float) -> tuple[float, str]:
    """Return what to divide by and its name; thousands are named from a size on."""
    limits = ((1e9, 1e9, " bn"), (1e6, 1e6, " M"), (thousands, 1e3, " k"))
    return next(((scale, suffix) for limit, scale, suffix in limits if abs(size) >= limit), (1.0, ""))


def _signed(value: float, size: str, *, sign: bool) -> str:
    if not size.strip("0.,"):
        return size
    return f"{'-' if value < 0 else '+' if sign else ''}{size}"


def _rounded(size: float, digits: int) -> str:
    """Write a positive number with so many significant digits, whole numbers in full."""
    if not size:
        return "0"
    decimals = digits - 1 - int(f"{size:.{digits - 1}e}".rpartition("e")[2])
    return f"{size:,.{max(0, decimals)}f}"


def _stripped(text: str) -> str:
    return text.rstrip("0").rstrip(".") if "." in text else text
