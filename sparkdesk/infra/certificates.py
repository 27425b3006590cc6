"""Whom this computer trusts to name HTTPS servers, and what went wrong with a server's certificate, in words.

The one rule: a certificate that cannot be verified is refused, always; there is no way around it in SparkDesk.
"""

from __future__ import annotations

import ssl

NOT_YET, EXPIRED, REVOKED = 9, 10, 23
OTHER_NAME = (62, 64)
"""Source: OpenSSL x509_vfy.h, X509_V_ERR_..."""
MAX_CHAIN = 8


def system_roots() -> ssl.SSLContext | None:
    """The authorities of the system, or of the file that SSL_CERT_FILE names. None: Python knows of none here, as on
    macOS.
    """
    paths = ssl.get_default_verify_paths()
    if not (paths.cafile or paths.capath):
        return None
    return ssl.create_default_context()


def tls_trouble(error: BaseException) -> tuple[str, str, str] | None:
    """Kind, message and remedy where TLS failed below this error; None where something else did."""
    found: BaseException | None = error
    for _ in range(MAX_CHAIN):
        if found is None:
            return None
        if isinstance(found, ssl.SSLCertVerificationError):
            return "untrusted", *_refusal(found.verify_code)
        if isinstance(found, ssl.SSLError):
            return (
                "other",
                "The server does not speak HTTPS there as it should",
                "Write http:// if it speaks plain HTTP; else look at the server's log.",
            )
        found = found.__cause__ or found.__context__
    return None


def _refusal(code: int) -> tuple[str, str]:
    if code == EXPIRED:
        return "The server's certificate has expired", "Renew it on the server, or set this computer's clock right."
    if code == NOT_YET:
        return "The server's certificate is not valid yet", "Set this computer's clock right, or the server's."
    if code == REVOKED:
        return "The server's certificate was revoked", "Ask whoever runs the server for a new one."
    if code in OTHER_NAME:
        return (
            "The server's certificate is for another name than this address",
            "Use the name that it was made for, or have one made for this name.",
        )
    return (
        "This computer does not know who signed the server's certificate",
        "Add its authority to the system's, or name its file in SSL_CERT_FILE and start SparkDesk again.",
    )
