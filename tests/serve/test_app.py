from __future__ import annotations

import json
import time
from io import BytesIO

import pytest
from PIL import Image

from fixtures.uploads import jpeg, sent
from netvlad.maps.index import PlaceIndex


def refusal(response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    return problem["detail"]


def test_the_answer_is_that_of_the_map(client, town, index):
    photo = town / "3.jpg"
    response = client.post("/v1/locate", params={"top": 2}, files=sent(photo.read_bytes(), name="mine.jpg"))
    assert response.status_code == 200
    (answer,) = response.json()["answers"]
    want = PlaceIndex.open(index).locate(photo, top=2).to_dict()
    assert answer["photo"] == "mine.jpg"
    assert answer["map"] == response.json()["map"] == "town"
    for ours, theirs in zip(answer["matches"], want["matches"], strict=True):
        assert ours.pop("path") == theirs.pop("path").rpartition("/")[2]
        assert len(ours.pop("id")) == 16
        assert ours == pytest.approx(theirs, abs=1e-3)
    for name in ("lat", "lon", "radius", "confidence", "absent", "in_map", "verdict"):
        assert answer[name] == want[name]
    assert "31.26030, 34.80000" in answer["words"]


def test_several_photos_in_order_with_what_cannot_be_read(client, town):
    photos = [(town / "5.jpg").read_bytes(), b"no photo", (town / "1.jpg").read_bytes()]
    answers = client.post("/v1/locate", files=sent(*photos)).json()["answers"]
    assert [answer.get("lat") for answer in answers] == [pytest.approx(31.2605), None, pytest.approx(31.2601)]
    assert "Pillow" in answers[1]["error"]


def test_where_none_can_be_read_the_request_is_refused(client):
    response = client.post("/v1/locate", files=sent(b"", b"x" * 100))
    assert "no photo could be read" in refusal(response, 422)
    assert len(response.json()["answers"]) == 2


def test_conditions(client, town):
    files = sent((town / "0.jpg").read_bytes())
    (answer,) = client.post("/v1/locate", params={"near": "31.2607,34.8,15m"}, files=files).json()["answers"]
    assert {match["lat"] for match in answer["matches"]} == {31.2606, 31.2607}
    (answer,) = client.post("/v1/locate", params={"before": "2025-12-22T10:00:02"}, files=files).json()["answers"]
    assert len(answer["matches"]) == 2
    refusal(client.post("/v1/locate", params={"near": "0,0,10m"}, files=files), 422)
    for wrong in ({"near": "1,2"}, {"bbox": "a"}, {"after": "soon"}, {"top": 0}, {"top": "x"}, {"bbox": "1,2,3,nan"}):
        assert next(iter(wrong)) in refusal(client.post("/v1/locate", params=wrong, files=files), 422)


def test_a_map_by_name(client, town):
    files = sent((town / "0.jpg").read_bytes())
    assert client.post("/v1/locate", params={"map": "town"}, files=files).status_code == 200
    assert "elsewhere" in refusal(client.post("/v1/locate", params={"map": "elsewhere"}, files=files), 404)


def test_what_is_no_form_of_photos(client):
    refusal(client.post("/v1/locate", content=b"x"), 415)
    refusal(client.post("/v1/locate", data={"a": "b"}, files={"other": ("a.jpg", b"x")}), 422)
    refusal(client.post("/v1/locate", files={"photo": (None, "text")}), 422)
    headers = {"content-type": "multipart/form-data; boundary=x"}
    refusal(client.post("/v1/locate", content=b"--y", headers=headers), 400)
    refusal(client.post("/v1/locate", content=b"", headers={"content-type": "multipart/form-data"}), 400)
    refusal(client.post("/v1/locate", files=sent(*[b"x"] * 5)), 413)


def test_the_index(client):
    (fact,) = client.get("/v1/index").json()["maps"]
    assert (fact["name"], fact["photos"], fact["radius"], fact["model"]) == ("town", 8, 25.0, "test_resnet-max")
    assert fact["bounds"] == pytest.approx([34.8, 31.26, 34.8, 31.2607])
    assert fact["calibrated"] is False
    assert fact["uncalibrated"]


def test_streets(client):
    found = client.get("/v1/index/streets").json()
    assert len(found["points"]) == found["total"] == 8
    assert found["lines"] == [[i, i + 1] for i in range(7)]
    boxed = client.get("/v1/index/streets", params={"bbox": "34,31.26055,35,32"}).json()
    assert boxed["total"] == 2
    refusal(client.get("/v1/index/streets", params={"bbox": "1"}), 422)


def test_a_thumbnail_is_made_anew(client, town):
    (answer,) = client.post("/v1/locate", files=sent((town / "3.jpg").read_bytes())).json()["answers"]
    response = client.get(f"/v1/photos/{answer['matches'][0]['id']}/thumbnail", params={"longest": 32})
    assert response.headers["content-type"] == "image/jpeg"
    image = Image.open(BytesIO(response.content))
    assert image.size == (32, 24)
    assert not image.getexif()


@pytest.mark.parametrize("id_", ["0" * 16, "f" * 16, "..", "3.jpg", "%2e%2e%2fplaces.csv", "0" * 15, "é" * 16])
def test_no_photo_by_anything_but_its_id(client, id_):
    assert client.get(f"/v1/photos/{id_}/thumbnail").status_code in (404, 422)


def test_health_and_metrics(client):
    assert client.get("/healthz").status_code == client.get("/readyz").status_code == 200
    client.post("/v1/locate", files=sent(jpeg()))
    text = client.get("/metrics").text
    for stage in ("read", "decode", "wait", "describe", "search", "total"):
        assert f'netvlad_stage_seconds_count{{stage="{stage}"}}' in text
    assert 'route="/v1/locate",status="200"' in text
    assert "netvlad_photos_in_work 0.0" in text
    assert "q.jpg" not in text


def test_what_is_not_there(client):
    refusal(client.get("/v1/nothing"), 404)
    refusal(client.get("/v1/locate"), 405)


def test_the_document_of_the_interface(client):
    document = client.get("/openapi.json").json()
    assert set(document["paths"]) >= {"/v1/locate", "/v1/index", "/v1/photos/{id}/thumbnail", "/healthz", "/readyz"}
    body = document["paths"]["/v1/locate"]["post"]["requestBody"]["content"]
    assert list(body) == ["multipart/form-data"]
    assert "HTTPValidationError" not in json.dumps(document)


def test_it_takes_no_more_than_its_queue(service, town):
    running = service(queue=1)
    response = running.post("/v1/locate", files=sent(*[(town / "0.jpg").read_bytes()] * 2))
    refusal(response, 503)
    assert 1 <= int(response.headers["retry-after"]) <= 60
    assert running.post("/v1/locate", files=sent((town / "0.jpg").read_bytes())).status_code == 200


@pytest.fixture
def describing(opened, monkeypatch):
    """Let something else describe."""

    def put(function) -> None:
        monkeypatch.setattr(type(opened["town"].model), "describe", function)

    return put


def test_a_request_has_a_deadline(service, town, describing):
    describing(lambda self, images: time.sleep(0.5))
    response = service(deadline=0.2).post("/v1/locate", files=sent((town / "0.jpg").read_bytes()))
    assert "0.2 s" in refusal(response, 504)


def test_an_error_of_the_server_tells_nothing(service, town, describing):
    def fails(self, images):
        raise RuntimeError("secret/path")

    describing(fails)
    response = service().post("/v1/locate", files=sent((town / "0.jpg").read_bytes()))
    assert "secret" not in refusal(response, 500)
    assert response.headers["x-content-type-options"] == "nosniff"


def test_why_the_best_match_is_similar(service, town):
    from netvlad.explanation.explain import explain

    running = service(explain=lambda *photos: explain(*photos).to_dict())
    photo = (town / "3.jpg").read_bytes()
    (answer,) = running.post("/v1/locate", params={"explain": True, "top": 1}, files=sent(photo)).json()["answers"]
    found = answer["explanation"]
    assert found["similarity"] == pytest.approx(1 - answer["matches"][0]["distance"] ** 2 / 2, abs=1e-3)
    assert found["exact"]
    assert len(found["query_map"]) > 1
    (plain,) = running.post("/v1/locate", files=sent(photo)).json()["answers"]
    assert "explanation" not in plain
    two = running.post("/v1/locate", params={"explain": True}, files=sent(photo, photo))
    assert "one photo" in refusal(two, 422)
    refusal(running.post("/v1/locate", params={"explain": True}, files=sent(b"x")), 422)


def test_a_server_that_explains_nothing(client):
    refusal(client.post("/v1/locate", params={"explain": True}, files=sent(jpeg())), 422)
