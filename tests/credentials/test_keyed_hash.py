"""Names for what must be found again, and read by nobody without the secret."""

from mitto_phone_hook.credentials.keyed_hash import keyed_hash


def test_the_same_three_give_the_same_name_of_32_hexadecimal_digits() -> None:
    name = keyed_hash("+12025550110", b"secret", b"idempotency")
    assert name == keyed_hash("+12025550110", b"secret", b"idempotency")
    assert len(bytes.fromhex(name)) == 16


def test_another_subject_secret_or_purpose_gives_another_name() -> None:
    names = {
        keyed_hash("+12025550110", b"secret", b"idempotency"),
        keyed_hash("+12025550111", b"secret", b"idempotency"),
        keyed_hash("+12025550110", b"another secret", b"idempotency"),
        keyed_hash("+12025550110", b"secret", b"limits"),
    }
    assert len(names) == 4


def test_a_secret_of_any_length_names_any_text() -> None:
    names = {keyed_hash(subject, secret, b"idempotency") for subject in ("", "\0", "ü" * 5000) for secret in (b"s", b"s" * 64, b"s" * 1000)}
    assert len(names) == 9
