"""Recipients that cause a fault without a script: +1 202 555 01xx, numbers reserved for fiction.

Source of the range: North American Numbering Plan, 555-0100 to 555-0199. libphonenumber treats them as valid.
All other recipients cause no fault, nor do the numbers of this range that are not in the table.
"""

from collections.abc import Mapping

RANGE = "120255501"
"""The first nine of the eleven digits. The last two select the fault."""

LAST_TWO = {
    # 0x: Mitto's responseCode
    "01": "code_1",
    "02": "code_2",
    "03": "code_3",
    "04": "code_4",
    "05": "code_5",
    "06": "code_6",
    "07": "code_7",
    "08": "code_8",
    "09": "code_9",
    # 1x, 2x: a success status, or Retry-After
    "18": "400_code_8",
    "20": "empty200",
    "21": "html200",
    "22": "202_empty",
    "23": "early_hints",
    "24": "204",
    "27": "429_date",
    "28": "429_3600",
    "29": "429_1",
    # 3x, 4x, 5x: the HTTP status
    "32": "302",
    "38": "308",
    "40": "400",
    "41": "401",
    "43": "403",
    "44": "404",
    "48": "408",
    "49": "429",
    "50": "500",
    "51": "503_1",
    "52": "502",
    "53": "503",
    "54": "504",
    "55": "503_0",
    # 6x: the connection
    "60": "hang",
    "61": "drip_headers",
    "62": "drip_body",
    "63": "reset_after_request",
    "64": "close_before_read",
    "65": "close_after_request",
    "66": "close_after_answer",
    "67": "truncate",
    "68": "slow",
    "69": "hang_before_read",
    # 7x: too much, or broken HTTP
    "70": "gzip_bomb",
    "71": "big_body",
    "72": "big_headers",
    "73": "continue_flood",
    "74": "switching_101",
    "75": "bad_chunk",
    "76": "dup_cl",
    "77": "http09",
    "78": "bad_utf8",
    "79": "http10",
    # 8x: the JSON
    "80": "no_code",
    "81": "code_bool",
    "82": "code_string",
    "83": "code_float",
    "84": "code_huge",
    "85": "json_array",
    "86": "json_null",
    # 9x: the id, and an undocumented code
    "90": "id_injection",
    "91": "id_missing",
    "92": "id_number",
    "93": "id_injection_small",
    "99": "code_99",
}
"""The last two digits and the fault they stand for."""

MAGIC_NUMBERS: Mapping[str, str] = {RANGE + last: name for last, name in LAST_TWO.items()}
"""MSISDN to the name of its fault. The recipient is known only after reading: here the ``..._before_read`` faults apply after it."""
