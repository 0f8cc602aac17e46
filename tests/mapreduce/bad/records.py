"""Records of JSON that are odd, and why each is dropped: the same wherever JSON holds records."""

from __future__ import annotations

from typing import Final

OF_ONE: Final = b'{"link":1,"v":1}'

# What a record is -> why it is dropped, or None where it is kept.
ODD: Final[dict[bytes, str | None]] = {
    b'{"link":NaN,"v":1}': "not_a_record",
    b'{"link":1,"v":Infinity}': "not_a_record",
    b'{"link":1,"v":1,"x":-Infinity}': "not_a_record",
    b'{"link":+1,"v":1}': "not_a_record",
    b'{"link":1,"v":1.}': "not_a_record",
    b'{"link":1 "v":1}': "not_a_record",
    b'{"link":1,"v":1,}': "not_a_record",
    b'{"link":1,"v":1,"x":"\xff"}': "not_a_record",
    b'{"link":1,"v":1,"x":"\t"}': "not_a_record",
    b'{"link":1,"v":1,"x":"\\ud800"}': "not_a_record",
    b"[1,1]": "not_a_record",
    b"null": "not_a_record",
    b'"link"': "not_a_record",
    b"{}": "no_link",
    b'{"link":null,"v":1}': "no_link",
    b'{"Link":1,"v":1}': "no_link",
    b'{"link":%s,"v":1}' % (b"7" * 5000): "bad_link",
    b'{"link":"%s","v":1}' % (b"7" * 5000): "bad_link",
    b'{"link":9223372036854775808,"v":1}': "bad_link",
    b'{"link":1.0,"v":1}': "bad_link",
    b'{"link":1e2,"v":1}': "bad_link",
    b'{"link":true,"v":1}': "bad_link",
    b'{"link":" 12","v":1}': "bad_link",
    b'{"link":"1_000","v":1}': "bad_link",
    b'{"link":"+1","v":1}': "bad_link",
    '{"link":"\uff11","v":1}'.encode(): "bad_link",
    b'{"link":[1],"v":1}': "bad_link",
    b'{"link":"","v":1}': "bad_link",
    b'{"link":1}': "no_speed",
    b'{"link":1,"v":"50"}': "bad_speed",
    b'{"link":1,"v":1e400}': "bad_speed",
    b'{"link":1,"v":false}': "bad_speed",
    b'{"link":1,"v":-0.1}': "speed_out_of_range",
    b'{"link":1,"v":401}': "speed_out_of_range",
    b'{"link":-0,"v":-0.0}': None,
    b'{"link":"-0","v":1}': None,
    b'{"l\\u0069nk":9223372036854775807,"v":1}': None,
    b'{"link":{},"link":1,"v":1}': None,
    b'{"link":1,"v":1,"x":1e999,"y":%s}' % (b"[" * 90 + b"]" * 90): None,
}
