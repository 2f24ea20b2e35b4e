import time
from collections.abc import Callable
from typing import Any

import pytest

from tunesmith.errors import StorageError
from tunesmith.service.settings import Limits
from tunesmith.storage import ServedStorage

Serve = Callable[..., Any]
Secret = Callable[..., str]
Connect = Callable[..., Any]

_COOKIE = "tunesmith_session"


# Without tokens


def test_without_tokens_anybody_on_the_machine_may_do_everything_in_the_default_project(
    client: Any,
) -> None:
    who = client.get("/whoami").json()

    assert (who["project"], who["role"]) == ("default", "admin")


def test_without_tokens_no_other_project_can_be_named(client: Any) -> None:
    answer = client.get("/whoami", Tunesmith_Project="other")

    assert answer.status == 403


@pytest.mark.parametrize(
    "header", ["X-Forwarded-For", "X-Forwarded-Host", "X-Real-Ip", "Forwarded", "Via"]
)
def test_without_tokens_nobody_comes_in_through_a_proxy(client: Any, header: str) -> None:
    answer = client.get("/whoami", **{header.replace("-", "_"): "203.0.113.9"})

    assert answer.status == 401
    assert "proxy" in answer.error["message"]


def test_the_first_token_closes_the_door(client: Any) -> None:
    made = client.post("/tokens", {"name": "me", "role": "admin"})

    assert made.status == 201
    assert client.get("/whoami").status == 401
    assert client.get("/whoami", Authorization=f"Bearer {made.json()['secret']}").status == 200


def test_the_door_stays_closed_when_the_last_token_is_revoked(
    serve: Serve, storage: ServedStorage, secret: Secret
) -> None:
    secret("admin")
    storage.tokens.revoke(storage.tokens.all()[0].id)

    client = serve()

    assert client.get("/whoami").status == 401


def test_a_server_for_other_machines_is_never_open(serve: Serve) -> None:
    client = serve(host="0.0.0.0")

    assert client.get("/whoami").status == 401


# Tokens


def test_a_token_says_who_one_is(serve: Serve, secret: Secret, connect: Connect) -> None:
    own = connect(serve().url, secret("worker", "vision"))

    who = own.get("/whoami").json()

    assert (who["project"], who["role"], who["name"]) == ("vision", "worker", "worker of vision")


def test_while_the_tokens_can_not_be_read_one_is_to_ask_again_later(
    serve: Serve, secret: Secret, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = secret("read")
    client = serve()

    def away(*_: object) -> None:
        raise StorageError("The storage is away.")

    monkeypatch.setattr("tunesmith.storage.sql_tokens.SqlTokens.find", away)
    answer = client.get("/whoami", Authorization=f"Bearer {token}")

    assert (answer.status, answer.error["type"]) == (503, "StorageError")
    assert int(answer.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    "given",
    ["Bearer ts_000000000000_wrong", "Bearer ", "Bearer x", "Basic dTpw", "ts_1_2", "Bearer \xe9"],
)
def test_whatever_is_wrong_with_a_token_the_status_is_the_same(
    serve: Serve, secret: Secret, given: str
) -> None:
    secret("admin")
    client = serve()

    answer = client.get("/whoami", Authorization=given)

    assert answer.status == 401
    assert answer.error["type"] == "Unauthenticated"
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_unknown_revoked_and_expired_tokens_get_the_same_answer(
    serve: Serve, storage: ServedStorage, secret: Secret
) -> None:
    expired = secret("read", expires=time.time() - 1)
    revoked = secret("read")
    storage.tokens.revoke(storage.tokens.all()[-1].id)
    client = serve()

    answers = {
        client.get("/whoami", Authorization=f"Bearer {s}").body
        for s in (expired, revoked, "ts_000000000000_wrong")
    }

    assert len(answers) == 1


def test_a_token_revoked_over_http_is_dead_at_once(
    serve: Serve, storage: ServedStorage, secret: Secret, connect: Connect
) -> None:
    url = serve().url
    admin, victim = connect(url, secret("admin")), connect(url, secret("read"))
    assert victim.get("/whoami").status == 200

    revoked = admin("DELETE", f"/tokens/{storage.tokens.all()[-1].id}")

    assert revoked.status == 200
    assert revoked.json()["revoked"] is not None
    assert victim.get("/whoami").status == 401


def test_a_new_tokens_secret_is_shown_once(client: Any) -> None:
    made = client.post("/tokens", {"name": "ci", "role": "admin", "expires_s": 3600}).json()

    admin = {"Authorization": f"Bearer {made['secret']}"}
    listed = client.get("/tokens", **admin)

    assert made["expires"] > time.time()
    assert [t["name"] for t in listed.json()["tokens"]] == ["ci"]
    assert made["secret"].encode() not in listed.body


def test_who_administers_one_project_makes_no_tokens_for_another(
    serve: Serve, secret: Secret, connect: Connect
) -> None:
    admin = connect(serve().url, secret("admin", "vision"))

    other = admin.post("/tokens", {"name": "n", "role": "read", "project": "speech"})
    everywhere = admin.post("/tokens", {"name": "n", "role": "read", "project": "*"})
    own = admin.post("/tokens", {"name": "n", "role": "read"})

    assert (other.status, everywhere.status, own.status) == (403, 403, 201)
    assert own.json()["project"] == "vision"


def test_a_token_for_all_projects_says_in_which_it_acts(
    serve: Serve, secret: Secret, connect: Connect
) -> None:
    client = connect(serve().url, secret("admin", "*"))

    assert client.get("/whoami").json()["project"] == "default"
    assert client.get("/whoami", Tunesmith_Project="vision").json()["project"] == "vision"
    assert client.get("/whoami", Tunesmith_Project="../x").status == 422


def test_a_token_of_one_project_is_refused_in_another(
    serve: Serve, secret: Secret, connect: Connect
) -> None:
    client = connect(serve().url, secret("admin", "vision"))

    assert client.get("/whoami", Tunesmith_Project="vision").status == 200
    assert client.get("/whoami", Tunesmith_Project="speech").status == 403


# Browsers


def _log_in(client: Any, secret: str, **headers: str) -> Any:
    return client.post("/login", {"token": secret}, **headers)


def _cookie(answer: Any) -> str:
    name, _, value = answer.headers["Set-Cookie"].partition(";")[0].partition("=")
    assert name == _COOKIE
    return str(value)


def test_a_browser_logs_in_with_a_token_and_out_again(serve: Serve, secret: Secret) -> None:
    token = secret("write")
    client = serve()

    entered = _log_in(client, token)
    cookie = {"Cookie": f"{_COOKIE}={_cookie(entered)}"}
    inside = client.get("/whoami", **cookie)
    left = client.post("/logout", **cookie)
    outside = client.get("/whoami", **cookie)

    assert entered.status == 204
    assert inside.json()["role"] == "write"
    assert left.status == 204
    assert outside.status == 401


def test_a_cookie_is_out_of_reach_of_scripts_and_other_sites_and_no_token(
    serve: Serve, secret: Secret
) -> None:
    token = secret("write")
    client = serve(base_path="/tune")

    entered = _log_in(client, token)

    attributes = entered.headers["Set-Cookie"].lower()
    assert "httponly" in attributes
    assert "samesite=strict" in attributes
    assert "max-age=43200" in attributes
    assert "path=/tune" in attributes
    assert token not in entered.headers["Set-Cookie"]
    assert client.get("/whoami", Authorization=f"Bearer {_cookie(entered)}").status == 401
    assert client.get("/whoami", Cookie=f"{_COOKIE}={token}").status == 401


def test_behind_https_a_cookie_stays_there(serve: Serve, secret: Secret) -> None:
    token = secret("write")
    client = serve(trusted_proxies=("127.0.0.1",))

    entered = _log_in(client, token, X_Forwarded_Proto="https")

    assert "secure" in entered.headers["Set-Cookie"].lower()
    assert entered.headers["Strict-Transport-Security"]


def test_who_is_no_trusted_proxy_is_not_believed(serve: Serve, secret: Secret) -> None:
    token = secret("write")
    client = serve(trusted_proxies=("203.0.113.1",))

    entered = _log_in(client, token, X_Forwarded_Proto="https")

    assert "secure" not in entered.headers["Set-Cookie"].lower()


def test_a_form_logs_in_too_and_leads_on(serve: Serve, secret: Secret) -> None:
    token = secret("write")
    client = serve()

    entered = client(
        "POST",
        "/login",
        raw=f"token={token}".encode(),
        Content_Type="application/x-www-form-urlencoded",
    )

    assert entered.status == 303
    assert entered.headers["Location"] == "/"
    assert client.get("/whoami", Cookie=f"{_COOKIE}={_cookie(entered)}").status == 200


@pytest.mark.parametrize("body", [{"token": "ts_000000000000_x"}, {"token": ""}, {}, {"token": 1}])
def test_a_wrong_token_opens_no_session(serve: Serve, secret: Secret, body: Any) -> None:
    secret("write")
    client = serve()

    answer = client.post("/login", body)

    assert answer.status in (401, 422)
    assert "Set-Cookie" not in answer.headers


def test_a_session_ends_with_its_token(
    serve: Serve, storage: ServedStorage, secret: Secret, connect: Connect
) -> None:
    admin, token = secret("admin"), secret("write")
    client = serve()
    cookie = {"Cookie": f"{_COOKIE}={_cookie(_log_in(client, token))}"}
    assert client.get("/whoami", **cookie).status == 200

    connect(client.url, admin)("DELETE", f"/tokens/{storage.tokens.all()[-1].id}")

    assert client.get("/whoami", **cookie).status == 401


def test_sessions_are_not_listed_as_tokens(serve: Serve, secret: Secret, connect: Connect) -> None:
    token = secret("admin")
    client = serve()
    _log_in(client, token)

    listed = connect(client.url, token).get("/tokens").json()["tokens"]

    assert len(listed) == 1


# Pages of other sites


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing_with_a_cookie(
    serve: Serve, secret: Secret, headers: dict[str, str]
) -> None:
    token = secret("admin")
    client = serve()
    cookie = {"Cookie": f"{_COOKIE}={_cookie(_log_in(client, token))}"}

    answer = client.post("/tokens", {"name": "n", "role": "read"}, **cookie, **headers)

    assert answer.status == 403
    assert answer.error["type"] == "WrongOrigin"


def test_a_page_of_another_site_changes_nothing_where_nobody_needs_a_token(client: Any) -> None:
    answer = client.post("/tokens", {"name": "n", "role": "read"}, Origin="https://evil.example")

    assert answer.status == 403


def test_a_page_of_another_site_can_not_log_a_browser_in(serve: Serve, secret: Secret) -> None:
    token = secret("admin")
    client = serve()

    assert _log_in(client, token, Origin="https://evil.example").status == 403


def test_a_page_of_the_server_itself_may_change_things(serve: Serve, secret: Secret) -> None:
    token = secret("admin")
    client = serve()
    cookie = {"Cookie": f"{_COOKIE}={_cookie(_log_in(client, token))}"}

    answer = client.post(
        "/tokens", {"name": "n", "role": "read"}, **cookie, Origin=client.url, Sec_Fetch_Site="same-origin"
    )  # fmt: skip

    assert answer.status == 201


def test_a_token_in_the_head_is_no_browsers_so_its_origin_does_not_matter(
    serve: Serve, secret: Secret, connect: Connect
) -> None:
    client = connect(serve().url, secret("admin"))

    answer = client.post("/tokens", {"name": "n", "role": "read"}, Origin="https://a.example")

    assert answer.status == 201


# Names


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "a b", ""]
)
def test_a_name_that_somebody_else_controls_is_refused(client: Any, host: str) -> None:
    answer = client.get("/whoami", Host=host)

    assert answer.status in (400, 421)


@pytest.mark.parametrize("host", ["localhost:1", "127.0.0.1", "[::1]:8765", "tune.localhost"])
def test_addresses_and_the_machines_own_names_are_known(client: Any, host: str) -> None:
    assert client.get("/whoami", Host=host).status == 200


def test_names_may_be_allowed(serve: Serve) -> None:
    client = serve(allowed_hosts=("tune.example.org", "*.lab.example"))

    known = {
        host: client.get("/whoami", Host=host).status
        for host in ("tune.example.org", "TUNE.example.org:443", "a.lab.example", "lab.example")
    }

    assert list(known.values()) == [200, 200, 200, 421]


# How often


def test_who_asks_too_often_is_told_when_to_come_again(
    serve: Serve, secret: Secret, connect: Connect
) -> None:
    url = serve(limits=Limits(requests_per_s=0.01, burst=3)).url
    hasty, calm = connect(url, secret("read")), connect(url, secret("read"))

    statuses = [hasty.get("/whoami").status for _ in range(4)]
    refused = hasty.get("/whoami")

    assert statuses == [200, 200, 200, 429]
    assert int(refused.headers["Retry-After"]) >= 1
    assert calm.get("/whoami").status == 200


def test_who_guesses_tokens_is_slowed_down_and_who_has_one_is_not(
    serve: Serve, secret: Secret, connect: Connect
) -> None:
    own = secret("read")
    client = serve(limits=Limits(attempts_per_minute=3))

    guesses = [
        client.get("/whoami", Authorization=f"Bearer ts_{i:012x}_guess").status for i in range(5)
    ]

    assert guesses == [401, 401, 401, 429, 429]
    assert connect(client.url, own).get("/whoami").status == 200


# What every answer says


def test_every_answer_tells_browsers_to_be_careful(client: Any) -> None:
    answers = [client.get("/whoami"), client.get("/nothing"), client.get("/whoami", Host="evil.x")]

    for answer in answers:
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["Tunesmith-Version"]
        assert "Server" not in answer.headers
