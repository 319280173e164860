"""The second factor: a code of six digits that changes every half minute (TOTP), and recovery codes."""

import base64
import hashlib
import io
import re
import secrets

import pyotp
import segno
import sqlalchemy as sa

from wisp.core import audit, clock, crypto
from wisp.core.db import session
from wisp.core.errors import Refused
from wisp.staff import passwords
from wisp.staff.models import StaffRecovery, StaffUser

STEP = 30
WINDOW = 1
"""So many half-minutes a phone's clock may be off."""
RECOVERY_CODES = 10
_SIGNS = re.compile(r"[\s-]")


def new_secret() -> str:
    """A secret for a phone, not yet anybody's."""
    return pyotp.random_base32()


def uri(secret: str, email: str, issuer: str) -> str:
    """What the QR code says to the phone's program."""
    return pyotp.TOTP(secret).provisioning_uri(name=email, issuer_name=issuer or "Wisp")


def picture(text: str) -> str:
    """``text`` as a QR code, in the form of an address that an <img> shows (SVG inside the page)."""
    buffer = io.BytesIO()
    segno.make(text, error="m").save(buffer, kind="svg", scale=5, border=3, dark="#000", light="#fff", xmldecl=False)
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()


def _step_of(secret: str, code: str) -> int | None:
    """The half-minute of ``code``, where it is one of the present ones."""
    digits = _SIGNS.sub("", code)
    if not (len(digits) == 6 and digits.isascii() and digits.isdigit()):
        return None
    now = int(clock.now().timestamp()) // STEP
    generator = pyotp.TOTP(secret)
    for step in range(now - WINDOW, now + WINDOW + 1):
        if secrets.compare_digest(generator.at(step * STEP), digits):
            return step
    return None


def enabled(user: StaffUser) -> bool:
    """True where log-in asks for a code."""
    return bool(user.totp_secret)


def enable(user_id: int, secret: str, code: str, password: str) -> list[str]:
    """Turn the second factor on, once a first code shows that the phone has the secret. Answers with the recovery
    codes, which are never shown again. Refused: ``staff.totp_on``, ``staff.password_wrong``, ``staff.code``."""
    user = _locked(user_id)
    if enabled(user):
        raise Refused("staff.totp_on")
    _same_person(user, password)
    step = _step_of(secret, code)
    if step is None:
        raise Refused("staff.code")
    user.totp_secret, user.totp_step = crypto.encrypt(secret), step
    audit.record("staff.totp", f"staff:{user.email}", {"totp": False}, {"totp": True})
    return _new_codes(user)


def renew_codes(user_id: int, password: str) -> list[str]:
    """New recovery codes; the earlier ones end. Refused: ``staff.totp_off``, ``staff.password_wrong``."""
    user = _locked(user_id)
    if not enabled(user):
        raise Refused("staff.totp_off")
    _same_person(user, password)
    audit.record("staff.recovery", f"staff:{user.email}", None, {"recovery_codes": "renewed"})
    return _new_codes(user)


def disable(user_id: int, password: str) -> None:
    """Turn the second factor off. Refused: ``staff.password_wrong``."""
    user = _locked(user_id)
    _same_person(user, password)
    remove(user)


def remove(user: StaffUser) -> None:
    """Turn the second factor off for somebody who lost the phone."""
    if enabled(user):
        audit.record("staff.totp", f"staff:{user.email}", {"totp": True}, {"totp": False})
    user.totp_secret, user.totp_step = "", 0
    session().flush()
    session().execute(
        sa.delete(StaffRecovery).where(StaffRecovery.staff_id == user.id).execution_options(synchronize_session=False)
    )


def readable(user_id: int) -> bool:
    """False where codes cannot be checked: the secret was stored with another key. Recovery codes open all the same."""
    user = session().get(StaffUser, user_id)
    try:
        crypto.decrypt(user.totp_secret if user is not None else "")
    except crypto.SecretUnreadable:
        return False
    return True


def check(user_id: int, code: str) -> bool:
    """True where ``code`` opens: a present code that was not used before, or a recovery code, which is used up."""
    user = session().get(StaffUser, user_id)
    if user is None or not user.active or not enabled(user):
        return False
    step = _step_of(crypto.decrypt(user.totp_secret), code) if readable(user_id) else None
    if step is not None:
        return _take_step(user.id, step)
    return _take_recovery(user, code)


def _take_step(user_id: int, step: int) -> bool:
    taken = session().execute(
        sa.update(StaffUser)
        .where(StaffUser.id == user_id, StaffUser.totp_step < step)
        .values(totp_step=step)
        .execution_options(synchronize_session=False)
    )
    return bool(taken.rowcount == 1)  # type: ignore[attr-defined]


def _take_recovery(user: StaffUser, code: str) -> bool:
    taken = session().execute(
        sa.update(StaffRecovery)
        .where(
            StaffRecovery.staff_id == user.id,
            StaffRecovery.code_hash == _hashed(code),
            StaffRecovery.used_at.is_(None),
        )
        .values(used_at=clock.now())
        .execution_options(synchronize_session=False)
    )
    if taken.rowcount != 1:  # type: ignore[attr-defined]
        return False
    audit.record("staff.recovery", f"staff:{user.email}", None, {"recovery_codes": "one used"})
    return True


def codes_left(user_id: int) -> int:
    """How many recovery codes were not used yet."""
    query = sa.select(sa.func.count()).where(StaffRecovery.staff_id == user_id, StaffRecovery.used_at.is_(None))
    return session().scalar(query) or 0


def _new_codes(user: StaffUser) -> list[str]:
    session().flush()
    session().execute(
        sa.delete(StaffRecovery).where(StaffRecovery.staff_id == user.id).execution_options(synchronize_session=False)
    )
    plain = [base64.b32encode(secrets.token_bytes(10)).decode() for _ in range(RECOVERY_CODES)]
    session().add_all(StaffRecovery(staff_id=user.id, code_hash=_hashed(code)) for code in plain)
    session().flush()
    return ["-".join(code[at : at + 4] for at in range(0, 16, 4)) for code in plain]


def _hashed(code: str) -> str:
    return hashlib.sha256(_SIGNS.sub("", code).upper().encode()).hexdigest()


def _same_person(user: StaffUser, password: str) -> None:
    if not passwords.matches(user.password_hash, password):
        raise Refused("staff.password_wrong")


def _locked(user_id: int) -> StaffUser:
    user: StaffUser = session().get_one(StaffUser, user_id, with_for_update=True, populate_existing=True)
    return user
