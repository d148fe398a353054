"""``/fairway/doctor``."""

import aiohttp


async def test_what_differs(http: aiohttp.ClientSession) -> None:
    async with http.get("/fairway/doctor") as reply:
        found = await reply.json()
    assert [each["Fixed"] for each in found["Differences"]] == [False, False]
    assert found["Differences"][0] == {
        "Kind": "network",
        "ID": "n1",
        "Name": "web",
        "Text": "interface br-0 is missing",
        "Fixed": False,
    }


async def test_what_was_mended(http: aiohttp.ClientSession) -> None:
    async with http.post("/fairway/doctor/fix") as reply:
        found = await reply.json()
    assert [each["Fixed"] for each in found["Differences"]] == [True, False]
    assert found["Problems"] == ["cannot delete veth0"]
