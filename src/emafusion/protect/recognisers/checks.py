"""The check digits that numbers carry. Knows arithmetic and no text."""

from __future__ import annotations

from collections.abc import Sequence

LETTERS_ES = "TRWAGMYFPDXBNJZSQVHLCKE"
_ODD_IT = dict(
    zip(
        "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ",
        (1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3,
         6, 8, 12, 14, 16, 10, 22, 25, 24, 23),
        strict=True,
    )
)  # fmt: skip


def luhn(digits: str) -> bool:
    """Whether `digits` end in their Luhn digit (ISO/IEC 7812-1, annex B)."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit) << (place & 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


def mod97(iban: str) -> bool:
    """Whether `iban`, capitals and digits alone, leaves 1 modulo 97 (ISO 13616)."""
    return int("".join(str(int(c, 36)) for c in iban[4:] + iban[:4])) % 97 == 1


def weighted(digits: str, weights: Sequence[int], modulus: int) -> int:
    """The sum of `digits` times `weights`, modulo `modulus`."""
    return sum(int(d) * w for d, w in zip(digits, weights, strict=False)) % modulus


def german_tax(digits: str) -> bool:
    """A German tax identifier: ISO 7064 mod 11, 10, and one digit that comes two or three times."""
    counts = sorted(digits[:10].count(d) for d in set(digits[:10]))
    if digits[0] == "0" or counts[-1] not in (2, 3) or (len(counts) > 1 and counts[-2] > 1):
        return False
    product = 10
    for digit in digits[:10]:
        product = ((int(digit) + product) % 10 or 10) * 2 % 11
    return (11 - product) % 10 == int(digits[10])


def french_social(number: str) -> bool:
    """A French social security number: 13 digits and 97 less their rest; Corsica's letters, too."""
    body = number[:13].replace("2A", "19", 1).replace("2B", "18", 1)
    return body.isdigit() and 97 - int(body) % 97 == int(number[13:])


def spanish(number: str) -> bool:
    """A Spanish DNI or NIE: the letter says the number modulo 23."""
    body = number[:-1].translate(str.maketrans("XYZ", "012"))
    return LETTERS_ES[int(body) % 23] == number[-1]


def italian(code: str) -> bool:
    """An Italian codice fiscale: 15 characters and the letter of their sum modulo 26."""
    total = 0
    for place, c in enumerate(code[:15]):
        total += (int(c, 36) - 10 if c.isalpha() else int(c)) if place % 2 else _ODD_IT[c]
    return chr(ord("A") + total % 26) == code[15]


def nhs(digits: str) -> bool:
    """A number of the British health service: ten digits, modulo 11."""
    check = 11 - weighted(digits, range(10, 1, -1), 11)
    return check % 11 == int(digits[9]) and check != 10


def dutch(digits: str) -> bool:
    """A Dutch citizen's number: nine digits, the last counted against the others."""
    return weighted(digits, (9, 8, 7, 6, 5, 4, 3, 2, -1), 11) == 0 and int(digits) > 0


def polish(digits: str) -> bool:
    """A Polish PESEL: a date, a sequence and a check digit."""
    month, day = int(digits[2:4]) % 20, int(digits[4:6])
    fits = 1 <= month <= 12 and 1 <= day <= 31
    return fits and weighted(digits, (1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1), 10) == 0


def swiss(digits: str) -> bool:
    """A Swiss social security number: an EAN-13 of the country 756."""
    return weighted(digits, (1, 3) * 6 + (1,), 10) == 0


def brazilian(digits: str) -> bool:
    """A Brazilian CPF: two digits modulo 11 each; the same digit eleven times is none."""
    ends = [weighted(digits, range(n, 1, -1), 11) for n in (10, 11)]
    checks = "".join(str(0 if end < 2 else 11 - end) for end in ends)
    return digits[9:] == checks and len(set(digits)) > 1


def swedish(number: str) -> bool:
    """A Swedish personal number: a birthday, three digits and their Luhn digit."""
    digits = number.replace("+", "")[-10:]
    return dated(digits[2:4], digits[4:6]) and luhn(digits)


def dated(month: str, day: str) -> bool:
    """Whether there are such a month and day; of co-ordination numbers, days go on from 61."""
    return 1 <= int(month) <= 12 and 1 <= int(day) % 60 <= 31


def brazilian_firm(digits: str) -> bool:
    """A Brazilian CNPJ: two digits modulo 11 each."""
    weights = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)
    ends = [weighted(digits[:n], weights[-n:], 11) for n in (12, 13)]
    return digits[12:] == "".join(str(0 if end < 2 else 11 - end) for end in ends)


def norwegian(digits: str) -> bool:
    """A Norwegian birth number: a birthday, three digits and two modulo 11."""
    first = weighted(digits, (3, 7, 6, 1, 8, 9, 4, 5, 2, 1), 11)
    second = weighted(digits, (5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1), 11)
    return dated(digits[2:4], str(int(digits[:2]) % 40)) and first == 0 == second


def turkish(digits: str) -> bool:
    """A Turkish identity number: two digits, of the odd and even places, and of all."""
    odd, even = (sum(map(int, digits[n:9:2])) for n in (0, 1))
    return (7 * odd - even) % 10 == int(digits[9]) and (
        sum(map(int, digits[:10])) % 10 == int(digits[10])
    )


def romanian(digits: str) -> bool:
    """A Romanian CNP: a birthday, the county, and a digit modulo 11."""
    rest = weighted(digits, (2, 7, 9, 1, 4, 6, 3, 5, 8, 2, 7, 9), 11)
    return dated(digits[3:5], digits[5:7]) and (1 if rest == 10 else rest) == int(digits[12])


def korean(digits: str) -> bool:
    """A Korean registration number: a birthday and, behind a dash, sex and century."""
    return dated(digits[2:4], digits[4:6]) and int(digits[4:6]) <= 31


def chinese(number: str) -> bool:
    """A Chinese citizen's number: a birthday and an ISO 7064 mod 11, 2 character."""
    if not dated(number[10:12], number[12:14]) or number[6:8] not in ("19", "20"):
        return False
    total = sum(int(c) * pow(2, 17 - n, 11) for n, c in enumerate(number[:17])) % 11
    return "10X98765432"[total] == number[17].upper()


def finnish(number: str) -> bool:
    """A Finnish identity code: a birthday, three digits and their character modulo 31."""
    bare = number[:6] + number[-4:-1]
    if not bare.isdigit() or not dated(number[2:4], number[:2]):
        return False
    return "0123456789ABCDEFHJKLMNPRSTUVWXY"[int(bare) % 31] == number[-1]


def belgian(digits: str) -> bool:
    """A Belgian register number: 97 less the rest of nine digits; from 2000 with a 2 before."""
    body, check = digits[:9], int(digits[9:])
    return check in (97 - int(body) % 97, 97 - int("2" + body) % 97)


def chilean(number: str) -> bool:
    """A Chilean RUT: a digit, or K, modulo 11."""
    body = number[:-1][::-1]
    rest = 11 - sum(int(d) * (2 + n % 6) for n, d in enumerate(body)) % 11
    return {10: "K", 11: "0"}.get(rest, str(rest)) == number[-1].upper()


def singaporean(number: str) -> bool:
    """A Singaporean NRIC or FIN: a letter modulo 11."""
    rest = weighted(number[1:8], (2, 7, 6, 5, 4, 3, 2), 11)
    rest = (rest + 4) % 11 if number[0] in "TG" else rest
    return ("JZIHGFEDCBA" if number[0] in "ST" else "XWUTRQPNMLK")[rest] == number[-1]


_DIHEDRAL = tuple(
    tuple((a + b) % 5 + 5 * (b > 4) if a < 5 else (a - b) % 5 + 5 * (b < 5) for b in range(10))
    for a in range(10)
)
_TURNS = (1, 5, 7, 6, 2, 8, 3, 0, 9, 4)


def verhoeff(digits: str) -> bool:
    """Whether `digits` end in their Verhoeff digit, in the dihedral group of order ten."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        value = int(digit)
        for _ in range(place % 8):
            value = _TURNS[value]
        total = _DIHEDRAL[total][value]
    return total == 0
