"""Secrets are taken out of texts, whether they are known or only look like secrets; ordinary texts stay."""

import logging

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.redaction import redacted
from orchestrator.settings import RedactingFormatter, redact

SECRET = "S3cr3t-v4lue"  # noqa: S105 (a canary)


@pytest.mark.parametrize("text", [
    "connection to host=db user=ablate password={} failed", "password='{} with words' user=x", '{{"password": "{}", "user": "u"}}',
    "PGPASSWORD={} psql", "db.password: {}", "passwd = {}", "aws_secret_access_key={}", "client_secret:{}", "api-key: {}",
    "Authorization: Bearer {}", "{{'Authorization': 'Basic {}'}}", "authorization={}", "curl -H 'X: bearer {}'", "RAY_AUTH_TOKEN={}",
    '"access_token": "{}"', "postgresql://ablate:{}@db/ablate", "postgresql://ablate:p@ss@{}@db/ablate", "https://h/x?user=u&token={}&y=1",
    "https://h/x?api_key={}"])
def test_a_secret_is_known_by_where_it_stands(text):
    assert SECRET not in redacted(text.format(SECRET), ())


@pytest.mark.parametrize("secret", [
    "hf_QvVtYbLpSeKdWmZaXcRf", "AKIAIOSFODNN7EXAMPLE", "ASIAIOSFODNN7EXAMPLE", "sk-proj-abcdef0123456789", "ghp_0123456789abcdefghij",
    "github_pat_0123456789abcdefghij", "glpat-0123456789abcdef", "xoxb-0123456789-abc", "AIzaSyA0123456789abcdefghijklmnopqrstu",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVP", "-----BEGIN RSA PRIVATE KEY-----\nMIIEow\n-----END RSA PRIVATE KEY-----"])
def test_a_secret_is_known_by_its_form(secret):
    text = redacted(f"refused: {secret}, said the server", ())
    assert secret not in text
    assert (text[:9], text[-17:]) == ("refused: ", ", said the server")


@pytest.mark.parametrize("text", [
    "KeyError: 'token'", "eos_token='</s>' pad_token=None image_tokens=144 tokens_per_image: 1000", "http://127.0.0.1:5000/x",
    "the bearer of news", "studies/x.yaml:3: vary.sft.images.grid[2]: n_min 9 exceeds n_max 4", "sqlite:////home/me/ledger.db",
    "a password is needed", "sk-learn", "hf_home", "s3://bucket/prefix does not answer"])
def test_an_ordinary_text_stays_as_it_is(text):
    assert redacted(text, ()) == text


@given(st.text(max_size=200))
def test_any_text_is_redacted_without_an_error_and_twice_is_once(text):
    once = redacted(text, [("X", SECRET)])
    assert SECRET not in redacted(text + SECRET, [("X", SECRET)])
    assert redacted(once, [("X", SECRET)]) == once


@pytest.mark.parametrize("name", ["ABLATE_LEDGER_URL_FILE", "RAY_AUTH_TOKEN_PATH", "ABLATE_JUDGE_KEY_FILE"])
def test_what_a_file_of_secrets_holds_is_not_shown(monkeypatch, tmp_path, name):
    path = tmp_path / "secret"
    path.write_text(f"{SECRET}\n")
    monkeypatch.setenv(name, str(path))
    assert redact(f"{path} holds {SECRET}") == f"{path} holds <{name}>"
    path.write_text(f"postgresql://u:{SECRET}@db/x")
    assert SECRET not in redact(f"the driver said: {SECRET}")
    path.unlink()
    assert redact("nothing to hide") == "nothing to hide"


def test_lines_of_a_log_are_redacted_with_their_traceback():
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "password=%s", (SECRET,), None)
    try:
        raise ValueError(f"token={SECRET}")
    except ValueError as error:
        record.exc_info = (ValueError, error, error.__traceback__)
    line = RedactingFormatter("%(message)s").format(record)
    assert SECRET not in line
    assert "Traceback" in line
