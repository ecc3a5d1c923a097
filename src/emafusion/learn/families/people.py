"""Names, places and goods that questions are filled with. Knows words only."""

from __future__ import annotations

from typing import Final

WOMEN: Final = (
    "Ana", "Chloe", "Elena", "Grace", "Ines", "Kira", "Maya", "Olga", "Rosa", "Tara", "Vera", "Zoe",
)  # fmt: skip
MEN: Final = (
    "Ben", "David", "Farid", "Hugo", "James", "Leo", "Noah", "Peter", "Sam", "Umar", "Will", "Karl",
)  # fmt: skip
FIRST: Final = (
    "Ana", "Ben", "Chloe", "David", "Elena", "Farid", "Grace", "Hugo", "Ines", "James", "Kira",
    "Leo", "Maya", "Noah", "Olga", "Peter", "Rosa", "Sam", "Tara", "Umar", "Vera", "Will", "Yara",
    "Zoe",
)  # fmt: skip
LAST: Final = (
    "Adams", "Baker", "Costa", "Duval", "Evans", "Fischer", "Garcia", "Hansen", "Ito", "Jones",
    "Khan", "Lopez", "Meyer", "Novak", "Okafor", "Patel", "Quinn", "Rossi", "Silva", "Taylor",
    "Usman", "Weber", "Young", "Zhang",
)  # fmt: skip
CITIES: Final = (
    "Lisbon", "Oslo", "Denver", "Leeds", "Nairobi", "Osaka", "Porto", "Quito", "Riga", "Seville",
    "Turin", "Utrecht", "Vienna", "Warsaw", "York", "Zagreb", "Lyon", "Boston", "Perth", "Cairo",
)  # fmt: skip
COMPANIES: Final = (
    "Northwind", "Bluefin", "Acorn Labs", "Solstice", "Ridgeline", "Kestrel", "Harbour & Co",
    "Lumen", "Oakfield", "Tidewater", "Parallax", "Greyson", "Wren Foods", "Alder Group",
)  # fmt: skip
GOODS: Final = (
    "lamps", "chairs", "notebooks", "mugs", "batteries", "cables", "pens", "tents", "kettles",
    "helmets", "blankets", "plates", "keyboards", "candles", "towels", "filters", "gloves",
)  # fmt: skip
FRUITS: Final = (
    "apples", "pears", "plums", "lemons", "mangoes", "peaches", "figs", "kiwis", "limes",
    "cherries", "melons", "oranges",
)  # fmt: skip
MONTHS: Final = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September",
    "October", "November", "December",
)  # fmt: skip
WEEKDAYS: Final = (
    "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday",
)  # fmt: skip
