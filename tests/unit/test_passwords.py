"""Passwords that are tried first are not taken; others are, however they look."""

import pytest

from wisp.staff.passwords import guessable

NAMES = ["Red del Valle", "ana.torres", "redvalle.example.com"]


@pytest.mark.parametrize("password", [
    "1234567890", "0987654321", "aaaaaaaaaa", "1212121212", "password12", "Password123!", "P4ssw0rd!!", "demostracion",
    "demostración1", "contraseña2026", "Bienvenido1", "qwertyuiop", "poiuytrewq", "1q2w3e4r5t", "abcdefghij",
    "administrador", "passwordpassword", "hola-hola-hola", "2026mexico2026", "RedDelValle1", "redvalle2026",
    "torres123456",
])  # fmt: skip
def test_guessed_early(password: str) -> None:
    assert guessable(password, NAMES)


@pytest.mark.parametrize("password", [
    "correct horse battery staple", "a wholly new password", "otra frase larga y secreta", "8374650192", "tK9$vLq2mZ",
    "perro azul come luna", "ñandú viaja al sur", "x7!password-of-nobody",
])  # fmt: skip
def test_not_guessed_early(password: str) -> None:
    assert not guessable(password, NAMES)
