"""What a page may send by POST, and what is refused: each case is one that could be tried."""

from __future__ import annotations

import io
import json
import socket
import time
import warnings
import zipfile

import pytest

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("websockets")
pytest.importorskip("polars")

import pellucid
from lab_held import forget
from pellucid.lab.server import uploads
from pellucid.lab.server.app import Lab
from pellucid.lab.views.catalogue import LARGEST_UPLOAD
from test_lab_security import FOREIGN, ask, http, open_socket


@pytest.fixture(scope="module")
def lab():
    with Lab() as lab:
        yield lab
    forget()


UPLOADS = ("/upload/table", "/upload/zip", "/upload/folder")
BYTES = "application/octet-stream"


def post(lab, path="/upload/table?name=t.csv", body=b"", **headers):
    """The status and the answer to a POST; a header that is None is left out."""
    here = f"127.0.0.1:{lab.port}"
    given = {
        "Host": here,
        "Origin": f"http://{here}",
        "Authorization": f"Bearer {lab.app.token}",
        "Content-Type": BYTES,
        "Content-Length": str(len(body)),
        "Connection": "close",
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    lines = [f"POST {path} HTTP/1.1", *(f"{k}: {v}" for k, v in given.items() if v is not None)]
    with socket.create_connection(("127.0.0.1", lab.port), timeout=20) as out:
        out.sendall(("\r\n".join(lines) + "\r\n\r\n").encode() + body)
        answer = b"".join(iter(lambda: out.recv(65536), b""))
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), text.decode()


def refusal(lab, path, body):
    """What is said of content that is refused: one sentence or two, on one line."""
    status, text = post(lab, path, body)
    assert status == 200
    assert list(json.loads(text)) == ["error"]
    said = json.loads(text)["error"]
    assert "\n" not in said
    assert "Traceback" not in said
    assert "tmp" not in said
    return said


def zip_of(files, method=zipfile.ZIP_DEFLATED):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as out, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a name twice
        for name, content in files:
            out.writestr(name, content)
    return packed.getvalue()


def test_the_right_page_may_send_a_table(lab):
    status, text = post(lab, body=b"a,b\n1,2\n3,4\n")
    assert (status, json.loads(text)["columns"]) == (200, ["a", "b"])


@pytest.mark.parametrize("path", UPLOADS)
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Authorization": None}, 401),
        ({"Authorization": "Bearer wrong"}, 401),
        ({"Authorization": "Basic x"}, 401),
        ({"Authorization": "Bearer é"}, 401),
        ({"Host": "evil.example"}, 403),
        ({"Origin": None}, 403),
        *(({"Origin": origin}, 403) for origin in FOREIGN),
        ({"Content_Type": None}, 415),  # types that a form of another page can have
        ({"Content_Type": "text/plain"}, 415),
        ({"Content_Type": "multipart/form-data; boundary=x"}, 415),
        ({"Content_Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
def test_an_upload_that_is_not_the_page_s_own(lab, path, headers, status):
    headers = {name: value and value.format(port=lab.port) for name, value in headers.items()}
    assert post(lab, path, b"a,b\n1,2\n", **headers)[0] == status


def test_for_uploads_the_key_counts_in_its_header_alone(lab):
    elsewhere = {"Authorization": None, "Cookie": f"pellucid={lab.app.token}"}
    path = f"/upload/table?token={lab.app.token}&ticket={lab.app.ticket()}"
    status, text = post(lab, path, b"a,b\n1,2\n", **elsewhere)
    assert (status, "needs the lab's key" in text) == (401, True)
    assert post(lab, body=b"a,b\n1,2\n", Authorization=f"Bearer {lab.app.ticket()}")[0] == 401


def test_no_preflight_is_answered(lab):
    asked = {"Access_Control_Request_Method": "POST", "Origin": "http://evil.example"}
    status, headers, _ = http(lab, "/upload/table", method="OPTIONS", **asked)
    assert status == 403
    assert not [name for name in headers if name.startswith("access-control")]


@pytest.mark.parametrize(
    ("path", "status"),
    [("/upload/", 404), ("/upload/pickle", 404), ("/upload/table/../zip", 404), ("/upload", 405),
     ("/", 405), ("/static/main.js", 405), ("/upload/..%2f..%2fetc", 404)],
)  # fmt: skip
def test_nothing_else_takes_a_post(lab, path, status):
    assert post(lab, path, b"x")[0] == status


@pytest.mark.parametrize("path", UPLOADS)
def test_an_upload_is_not_to_be_fetched(lab, path):
    assert http(lab, path)[0] == 405


def test_what_is_too_large_is_refused_before_it_is_read(lab):
    """Nothing of it is sent, and the answer comes all the same."""
    status, text = post(lab, Content_Length=str(LARGEST_UPLOAD + 1))
    assert status == 413
    assert "limit is 32 MiB" in text
    assert post(lab, Content_Length=str(10**30))[0] in (400, 411, 413)


@pytest.mark.parametrize("length", [None, "-1", "x", "1e3", ""])
def test_an_upload_must_say_how_long_it_is(lab, length):
    assert post(lab, Content_Length=length)[0] in (400, 411)
    assert post(lab, Content_Length=None, Transfer_Encoding="chunked", body=b"0\r\n\r\n")[0] == 411


def test_an_upload_in_chunks_is_refused_whatever_length_it_says(lab):
    """In chunks the length that is said binds nobody."""
    body = b"13\r\na,b\n1,2\n3,4\n5,6\n7,8\r\n0\r\n\r\n"
    for said in (None, "10", "19"):
        status, text = post(lab, body=body, Content_Length=said, Transfer_Encoding="chunked")
        assert status in (400, 411)  # some parsers refuse two lengths themselves
        assert "table-" not in text


def test_slow_uploads_hold_nothing_but_further_ones_and_end(lab, monkeypatch):
    monkeypatch.setattr("pellucid.lab.server.app.LONGEST_UPLOAD", 4)
    here = f"127.0.0.1:{lab.port}"
    head = (
        f"POST /upload/table?name=t.csv HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}\r\n"
        f"Authorization: Bearer {lab.app.token}\r\nContent-Type: {BYTES}\r\n"
        "Content-Length: 1000\r\n\r\na,b"
    )
    slow = [socket.create_connection(("127.0.0.1", lab.port), timeout=20) for _ in range(2)]
    for each in slow:
        each.sendall(head.encode())
    time.sleep(0.2)
    with open_socket(lab) as ws:
        assert ask(ws, "open")["step"] == 0
    assert http(lab)[0] == 200
    for each in slow:  # neither is answered as yet
        each.setblocking(False)
        with pytest.raises(BlockingIOError):
            each.recv(1)
        each.settimeout(20)
    status, _ = post(lab, body=b"a,b\n1,2\n3,4\n")  # waits for its turn
    assert status == 200
    for each in slow:
        with each:
            assert b" 408 " in each.recv(65536).split(b"\r\n")[0]


def test_a_page_that_vanishes_while_sending_harms_nothing(lab):
    for _ in range(5):  # more than may send at a time
        with socket.create_connection(("127.0.0.1", lab.port), timeout=10) as out:
            here = f"127.0.0.1:{lab.port}"
            lines = [f"POST /upload/table HTTP/1.1\r\nHost: {here}\r\nOrigin: http://{here}",
                     f"Authorization: Bearer {lab.app.token}\r\nContent-Type: {BYTES}",
                     "Content-Length: 1000000\r\n\r\na,b"]  # fmt: skip
            out.sendall("\r\n".join(lines).encode())
    test_the_right_page_may_send_a_table(lab)


@pytest.mark.parametrize(
    "name",
    ["../../etc/passwd", "/etc/passwd", "%00", "a%0d%0aSet-Cookie:x", "<script>", "x" * 9000],
)
def test_a_name_is_never_a_path(lab, name):
    status, text = post(lab, f"/upload/table?name={name}", b"a,b\n1,2\n")
    assert status == 200
    title = json.loads(text)["title"]
    assert len(title) <= 60
    assert not set("/\\<>\r\n\0") & set(title)


MODEL = ("model.json", b"{}")
FILE = "weights-0123456789abcdef.safetensors"


def lying(content):
    """A zip whose directory says that the file is smaller than it is."""
    packed = bytearray(zip_of([("model.json", content)]))
    place = packed.rindex(b"PK\x01\x02")
    packed[place + 24 : place + 28] = (5).to_bytes(4, "little")
    return bytes(packed)


def renamed(name):
    """A zip whose file is called so: the usual tools write no such name."""
    return zip_of([("model.json", b"{}")]).replace(b"model.json", name)


def encrypted():
    packed = bytearray(zip_of([MODEL]))
    packed[packed.rindex(b"PK\x01\x02") + 8] |= 1
    packed[6] |= 1
    return bytes(packed)


def commented():
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as out:
        out.writestr(*MODEL)
        out.comment = b"hello"
    return packed.getvalue()


ZIPS = {
    "nothing": (b"", "is not a zip"),
    "text": (b"hello", "is not a zip"),
    "empty": (zip_of([]), "holds no model.json"),
    "no model": (zip_of([("notes.txt", b"x")]), "holds no model.json"),
    "cut off": (zip_of([MODEL])[:-30], "is not a zip"),
    "above": (zip_of([("../model.json", b"{}")]), "holds the name '../model.json'"),
    "in between": (zip_of([("a/../../model.json", b"{}")]), "holds the name"),
    "absolute": (zip_of([("/etc/model.json", b"{}")]), "holds the name '/etc/model.json'"),
    "windows": (zip_of([("C:\\model.json", b"{}")]), "holds the name"),
    "backslash": (zip_of([("..\\model.json", b"{}")]), "holds the name"),
    "nul first": (renamed(b"\0odel.json"), r"holds the name '\x00odel.json'"),
    "nul within": (renamed(b"model\0json"), r"holds the name 'model\x00json'"),
    "folder of nul": (renamed(b"\0/del.json"), "holds the name"),
    "no letters": (renamed(b"\xff" * 10), "holds no model.json"),
    "twice": (zip_of([MODEL, MODEL]), "or a file twice"),
    "two folders": (zip_of([("a/model.json", b"{}"), ("b/model.json", b"{}")]), "several folders"),
    "many files": (zip_of([(f"{k}.txt", b"") for k in range(33)]), "33 files"),
    "a large directory": (zip_of([(f"{k}.txt", b"") for k in range(5000)]), "at most 32 files"),
    "a bomb": (zip_of([("model.json", bytes(65 * 2**20))]), "would unpack to 65 MiB"),
    "lying": (lying(b"x" * 5000), "damaged zip"),
    "encrypted": (encrypted(), "damaged zip, or one of an unknown kind"),
    "lzma": (zip_of([MODEL], zipfile.ZIP_LZMA), "neither stored nor deflated"),
    "commented": (commented(), "no comment"),
    "of another system": (zip_of([("__MACOSX/model.json", b"{")]), "holds no model.json"),
    "not json": (zip_of([("model.json", b"{")]), "is not valid JSON"),
    "deep": (zip_of([("model.json", b"[" * 200_000)]), "is not valid JSON"),
    "another's": (zip_of([MODEL]), "was not written by Pellucid"),
}


@pytest.mark.parametrize("case", ZIPS)
def test_a_zip_that_is_none_of_a_model(lab, case):
    content, message = ZIPS[case]
    assert message in refusal(lab, "/upload/zip?name=m.zip", content)


def test_a_fault_of_the_lab_s_own_is_an_answer_too(lab, monkeypatch):
    def broken(name, content):
        raise IndexError("string index out of range")

    monkeypatch.setitem(uploads.KINDS, "zip", broken)
    assert "internal error: IndexError" in refusal(lab, "/upload/zip?name=m.zip", b"PK")


def model_json(**changed):
    network = {"n_inputs": 2, "seed": 0, "dtype": "float32",
               "layers": [{"layer": "dense", "n_units": 1, "activation": "sigmoid"}]}  # fmt: skip
    weights = {"name": FILE, "sha256": "0123456789abcdef" * 4, "bytes": 8}
    model = {"format": "pellucid", "format_version": 1, "kind": "network", "network": network,
             "files": {"weights": weights}}  # fmt: skip
    return json.dumps({**model, **changed}).encode()


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (model_json(), "is missing"),
        (model_json(files={"weights": {"name": "../../../etc/passwd", "sha256": "0" * 64,
                                       "bytes": 1}}), "expected a name such as"),
        (model_json(kind="os.system", files={}), "does not know"),
        (model_json(kind=7), "lacks the entry"),
        (model_json(files={"weights": {"name": FILE, "sha256": "0123456789abcdef" * 4,
                                       "bytes": 10**400}}), "is missing"),
        (model_json(files={}), "names no weights file"),
        (model_json(files={}, network={"n_inputs": 10**18, "seed": 0, "dtype": "float32", "layers":
                    [{"layer": "dense", "n_units": 10**12, "activation": "relu"}]}), "names no"),
    ],
)  # fmt: skip
def test_a_model_that_is_none(lab, model, message):
    assert message in refusal(lab, "/upload/zip?name=m.zip", zip_of([("m/model.json", model)]))


def test_a_name_of_half_a_character_is_answered_too(lab, tmp_path):
    """JSON may hold a lone surrogate, which no UTF-8 does."""
    names = {"feature_names_in_": ["a\ud800", "<b>"]}
    pellucid.save(pellucid.Network([pellucid.Dense(1, "sigmoid")], 2, seed=0), tmp_path / "m")
    files = {file.name: file.read_bytes() for file in (tmp_path / "m").iterdir()}
    model = json.loads(files["model.json"]) | {"fitted": names}
    files["model.json"] = json.dumps(model).encode()
    status, text = post(lab, "/upload/zip?name=m.zip", zip_of(list(files.items())))
    assert (status, json.loads(text)["experiment"]["layers"]) == (200, [])
    with open_socket(lab) as ws:
        state = ask(ws, "open", experiment=json.loads(text)["experiment"])
        assert state["data"]["inputs"] == [r"a\ud800", "<b>"]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "did not arrive whole"),
        (b"\n", "did not arrive whole"),
        (b"[" * 100_000 + b"\n", "did not arrive whole"),
        (b'[["model.json", 3]]\n{}', "did not arrive whole"),
        (b'[["model.json", 1]]\n{}', "did not arrive whole"),
        (b'[["model.json", -2], ["a", 4]]\n{}', "did not arrive whole"),
        (b'[["model.json", 1e400]]\n{}', "did not arrive whole"),
        (b'[["model.json", true]]\n{', "did not arrive whole"),
        (b'{"model.json": 2}\n{}', "did not arrive whole"),
        (b'[["../model.json", 2]]\n{}', "holds the name '../model.json'"),
        (b'[["\\u0000odel.json", 2]]\n{}', r"holds the name '\x00odel.json'"),
        (b'[["", 2]]\n{}', "holds the name ''"),
        (b'[["a/model.json", 2], ["model.json", 0]]\n{}', "several folders"),
        (b'[["model.pkl", 2]]\n{}', "holds no model.json"),
        (b'[["model.json", 2]]\n{}', "was not written by Pellucid"),
    ],
)
def test_a_folder_that_is_none_of_a_model(lab, body, message):
    assert message in refusal(lab, "/upload/folder?name=m", body)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "is empty"),
        (b"\x1f\x8b" + bytes(50), "is compressed"),
        (zip_of([MODEL]), "an Excel or zip file"),
        (b"PAR1xxxx", "a Parquet file"),
        (b"\x80\x04\x95", "is not encoded in UTF-8"),  # a pickle
        (b"a,b\n\xff,1\n", "is not encoded in UTF-8"),
        (b"a,b\n", "holds only a header"),
        (b"a,a\n1,2\n3,4\n", "found more than once"),
        (b"\n\n" + b"," * 30_000 + b"\n" + b"1\n" * 3_000, "columns and 3,002 lines"),
        (b"\n".join([b'"x', b'",' + b"," * 30_000, *[b"1"] * 3_000]), "cells"),
        (b"," * 30_000 + b"\r" + b"1\r" * 3_000, "cells"),
    ],
)
def test_a_table_that_is_none(lab, body, message):
    assert message in refusal(lab, "/upload/table?name=t.csv", body)


def test_tables_are_asked_for_by_their_own_names_alone(lab):
    with open_socket(lab) as ws:
        for k, table in enumerate(["../../etc/passwd", "", None, [], {}, 7, "x" * 10_000]):
            found = ask(ws, "learn_table", k + 1, table=table, target="y")
            assert "no longer here" in found["error"]
        odd = {"data": {"name": "own-../../etc/passwd"}}
        assert "does not hold" in ask(ws, "open", 90, experiment=odd)["error"]
        assert "does not hold" in ask(ws, "open", 91, experiment={"model": "x"})["error"]
        assert "must be a name" in ask(ws, "open", 92, experiment={"model": ["x"]})["error"]
