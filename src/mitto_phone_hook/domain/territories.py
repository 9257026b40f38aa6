"""Territories that have a region of their own in ISO 3166 and that people count in with the country."""

TERRITORIES = {
    "AU": ("CC", "CX", "NF"),
    "DK": ("FO", "GL"),
    "FI": ("AX",),
    "FR": ("BL", "GF", "GP", "MF", "MQ", "NC", "PF", "PM", "RE", "WF", "YT"),
    "GB": ("GG", "IM", "JE"),
    "NL": ("AW", "BQ", "CW", "SX"),
    "NO": ("SJ",),
    "NZ": ("TK",),
    "US": ("AS", "GU", "MP", "PR", "VI"),
}
"""By the region of the country: those whose numbers are not its own, with a numbering plan in libphonenumber.

Source: ISO 3166-1, whose entries name the country of each. Left out: what nobody expects behind the country's name, because it has a
government, a calling code and tariffs of its own (Britain's overseas territories, Hong Kong, Macao, Cook Islands, Niue).
"""
