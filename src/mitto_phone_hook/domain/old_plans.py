"""Mobile numbers as numbering plans had them before they changed: people and address books still write them."""

import re

OLD_MOBILES = {
    55: "[1-9]{2}[689][0-9]{7}",  # Brazil, before the ninth digit: 8.10.6
    84: "1(?:2[0-9]|6[2-9]|8[68]|99)[0-9]{7}",  # Vietnam, 11 digits with the zero: 8.10.0
    224: "(?:24|55|6[0-9])[0-9]{6}",  # Guinea, 8 digits: 5.9
    225: "[0-9]{8}",  # Ivory Coast, 8 digits: 8.12.21
    229: "(?:4[0-8]|[56][0-9]|9[0-9])[0-9]{6}",  # Benin, 8 digits: 9.0.17
    230: "(?:25|4[29]|7[0-9]|8[27]|9[1-8])[0-9]{5}",  # Mauritius, 7 digits: 5.9
    237: "[579][0-9]{7}",  # Cameroon, 8 digits: 7.0.5; ITU Operational Bulletin 1063
    245: "(?:[5-7][0-9]|9[0-2])[0-9]{5}",  # Guinea-Bissau, 7 digits: 7.1.0
    686: "(?:6[0-9]|9[0-8])[0-9]{3}",  # Kiribati, 5 digits: 5.9
    689: "(?:[27][0-9]|3[0-79])[0-9]{4}",  # French Polynesia, 6 digits: 6.0
}
"""By calling code: whole national numbers. A number is looked up here only where no plan of today has it.

Source: libphonenumber's history. Its metadata listed these ranges as mobile in the release that is named and does no longer; its
table of renumberings (``migrator/src/data/recipes.csv``) has Brazil and Vietnam, too.
"""


def is_of_old_plan(code: int, national: str) -> bool:
    """Tell whether a national number that is none today was a mobile one before its plan changed."""
    return code in OLD_MOBILES and re.fullmatch(OLD_MOBILES[code], national) is not None
