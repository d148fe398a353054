"""``/fairway/rules`` and its notations."""

import aiohttp


async def test_the_report(http: aiohttp.ClientSession) -> None:
    async with http.get("/v1.47/fairway/rules") as reply:
        held, published = await reply.json()
    assert set(held) == {"Kind", "ID", "Name", "Rule", "From", "To", "Verdict", "Packets", "Bytes"}
    assert (held["Packets"], held["Bytes"]) == (None, None)
    assert (published["Rule"], published["Packets"], published["Bytes"]) == ("published", 2, 120)
    async with http.get("/fairway/rules?name=nosuch") as reply:
        assert reply.status == 404


async def test_notations_are_text(http: aiohttp.ClientSession) -> None:
    async with http.get("/fairway/rules/nft") as reply:
        assert (reply.content_type, await reply.text()) == ("text/plain", "table inet fairway {\n}\n")
    query = "?table=nat&chain=DOCKER&form=commands&verbose=1"
    async with http.get(f"/fairway/rules/iptables{query}") as reply:
        assert await reply.text() == "4 commands nat DOCKER True\n"
    async with http.get("/fairway/rules/ip6tables") as reply:
        assert await reply.text() == "6 list   False\n"


async def test_what_is_not_offered(http: aiohttp.ClientSession) -> None:
    async with http.get("/fairway/rules/iptables?form=xml") as reply:
        assert reply.status == 400
        assert "use list, commands, save" in (await reply.json())["message"]
    async with http.get("/fairway/rules/pf") as reply:
        assert reply.status == 404
