"""Whom issuers name: subjects as they make them, and what else printable ASCII allows."""

SUBJECTS = {
    "a database user of auth0": "auth0|5f7c8ec7c33c6c004bbafe82",
    "somebody of Active Directory": "waad|AbC/dEf+GhI/0123456789_-==",
    "base64": "kRwX/9Tt2Qq+AAECAwQFBgcICQoLDA0ODw==",
    "a URL": "https://id.example.com/users/7?realm=shop&v=1#me",
    "a distinguished name": "cn=Kim Min-ji, ou=members/x, o=shop",
    "part of another address": "m-1/history",
    "above the root": "../../healthz",
    "an empty part": "/",
    "two slashes": "a//b",
    "percent-encoded itself": "a%2Fb",
    "a percent sign": "100%",
    "a backslash": "SHOP\\kim",
    "braces": "}a{b}",
    "a brace": "}",
    "quotes": "o'neil\"`",
    "two in one header": "m-1,m-2",
    "a semicolon": "a;b=c",
    "255 characters": "https://id.example.com/" + "u/" * 116,
    "every character": "".join(map(chr, range(ord("!"), ord("~") + 1))),
}
assert all(0 < len(one) <= 255 for one in SUBJECTS.values())

UNCARRIED = {"a dot": ".", "two dots": ".."}
"""Members too, but no path can carry them, percent-encoded or not."""
