"""What an import costs, in a fresh interpreter."""

from __future__ import annotations

from importlib.util import find_spec

from benchmarks.harness import Figure, Spread, compare_code, row

__all__: list[str] = []

_HTTPX = "import httpx"


def _peers(base: str, codes: dict[str, str]) -> dict[str, Spread | str]:
    return {
        name: compare_code(code, base)[0] if find_spec(name) is not None else "not installed"
        for name, code in codes.items()
    }


@row("import", "`import cabinet_sdk`, over `import httpx`", goal=0.45)
def importing() -> Figure:
    """Load the package, and what of it everybody needs."""
    ratio, cost = compare_code("import cabinet_sdk", _HTTPX)
    peers = _peers(_HTTPX, {name: f"import {name}" for name in ("pydantic", "stripe", "githubkit", "openai", "boto3")})
    return Figure(ratio, f"{cost / 1000:.0f} ms.", peers)


@row("client", "The same with a default client, over `import httpx; httpx.Client()`", goal=1.25)
def default_client() -> Figure:
    """Make a client as the first page of the documentation does."""
    make = "cabinet_sdk.Cabinet('https://cabinet.example/v1', cabinet_sdk.ClientCredentials('a', 'b'))"
    ours = f"import cabinet_sdk; {make}"
    base = f"{_HTTPX}; httpx.Client()"
    ratio, cost = compare_code(ours, base)
    codes = {
        "stripe": "import stripe; stripe.StripeClient('sk_test_1')",
        "githubkit": "import githubkit; githubkit.GitHub('token')",
        "openai": "import openai; openai.OpenAI(api_key='key')",
        "boto3": (
            "import boto3\n"
            "boto3.client('s3', region_name='us-east-1', aws_access_key_id='a', aws_secret_access_key='b')"
        ),
    }
    with_area, _ = compare_code(f"{ours}.charges", base)
    detail = f"{cost / 1000:.0f} ms; {with_area} with the first area, which is loaded when it is used."
    detail += " The certificates of authorities, which httpx reads at once, are read by the first call over TLS."
    return Figure(ratio, detail, _peers(base, codes))
