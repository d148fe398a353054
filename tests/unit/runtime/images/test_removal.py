"""Removing and pruning: what goes, what stays, and Docker's texts for conflicts."""

import pytest

from fairway.model.container import Config, Container, HostConfig, State
from fairway.model.errors import Conflict
from fairway.model.image import Image
from fairway.model.reference import parse
from fairway.runtime.images.catalog import Catalog, chain_ids
from fairway.runtime.images.removal import Removal

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
DIGEST = "sha256:" + "1" * 64
L1, L2 = "sha256:" + "e" * 64, "sha256:" + "f" * 64


def catalog(names: dict[str, str], parents: dict[str, str] | None = None) -> Catalog:
    result = Catalog()
    for image in (A, B, C):
        result = result.with_image(image, parent=(parents or {}).get(image, ""))
    for name, image in names.items():
        result = result.with_name(parse(name), image, 1)
    return result


def removal(state: Catalog, *used: Container) -> Removal:
    layers = {A: (L1,), B: (L1, L2), C: ()}
    images = {i: Image(id=i, config={}, layers=layers[i], tags=()) for i in layers}
    return Removal(state, images, used)


def container(image: str, status: str = "exited") -> Container:
    state = State(status="running") if status == "running" else State(status="exited")
    return Container(
        id="9" * 64, name="x", created=0, image=image, config=Config(), host=HostConfig(), state=state
    )


def test_last_name_takes_the_image_and_its_own_layers() -> None:
    r = removal(catalog({"a:1": A, "b:1": B}))
    r.remove(B, "b:1", force=False, prune=True)
    top = list(chain_ids((L1, L2)))[1]
    assert r.records == [("Untagged", "b:1"), ("Deleted", B), ("Deleted", top)]
    assert set(r.catalog.images) == {A, C}


def test_one_of_two_names_only_untags() -> None:
    r = removal(catalog({"a:1": A, "a:2": A}), container(A, "running"))
    r.remove(A, "a:2", force=False, prune=True)
    assert r.records == [("Untagged", "a:2")]
    assert r.catalog.tags(A) == ("a:1",)


def test_digests_go_with_the_last_tag_of_their_repository() -> None:
    r = removal(catalog({"c:1": C, f"c@{DIGEST}": C}))
    r.remove(C, "c:1", force=False, prune=True)
    assert r.records == [("Untagged", "c:1"), ("Untagged", f"c@{DIGEST}"), ("Deleted", C)]


def test_by_id_takes_all_names_of_one_repository() -> None:
    r = removal(catalog({"c:1": C, f"c@{DIGEST}": C}))
    r.remove(C, C, force=False, prune=True)
    assert {what for _, what in r.records} == {"c:1", f"c@{DIGEST}", C}


def test_by_id_in_several_repositories_must_be_forced() -> None:
    state = catalog({"c:1": C, "d:1": C})
    with pytest.raises(Conflict) as caught:
        removal(state).remove(C, "c" * 12, force=False, prune=True)
    assert caught.value.message == (
        "conflict: unable to delete cccccccccccc (must be forced) - "
        "image is referenced in multiple repositories"
    )
    r = removal(state)
    r.remove(C, "c" * 12, force=True, prune=True)
    assert r.records == [("Untagged", "c:1"), ("Untagged", "d:1"), ("Deleted", C)]


@pytest.mark.parametrize(
    ("status", "reference", "force", "text"),
    [
        (
            "exited",
            "a:1",
            False,
            'conflict: unable to remove repository reference "a:1" (must force) - container 999999999999 '
            "is using its referenced image aaaaaaaaaaaa",
        ),
        (
            "exited",
            A,
            False,
            "conflict: unable to delete aaaaaaaaaaaa (must be forced) - "
            "image is being used by stopped container 999999999999",
        ),
        (
            "running",
            A,
            True,
            "conflict: unable to delete aaaaaaaaaaaa (cannot be forced) - "
            "image is being used by running container 999999999999",
        ),
    ],
)
def test_containers_in_the_way(status: str, reference: str, force: bool, text: str) -> None:
    with pytest.raises(Conflict) as caught:
        removal(catalog({"a:1": A}), container(A, status)).remove(A, reference, force=force, prune=True)
    assert caught.value.message == text


def test_forced_by_name_under_a_running_container_leaves_it_untagged() -> None:
    r = removal(catalog({"a:1": A}), container(A, "running"))
    r.remove(A, "a:1", force=True, prune=True)
    assert r.records == [("Untagged", "a:1")]
    assert A in r.catalog.images


def test_forced_under_a_stopped_container_keeps_its_layers() -> None:
    r = removal(catalog({"b:1": B}), container(B))
    r.remove(B, "b:1", force=True, prune=True)
    assert r.records == [("Untagged", "b:1"), ("Deleted", B)]


def test_children_protect_their_parent() -> None:
    state = catalog({"a:1": A}, {B: A})
    with pytest.raises(Conflict) as caught:
        removal(state).remove(A, A, force=True, prune=True)
    assert caught.value.message == (
        "conflict: unable to delete aaaaaaaaaaaa (cannot be forced) - image has dependent child images"
    )
    r = removal(state)
    r.remove(A, "a:1", force=False, prune=True)
    assert r.records == [("Untagged", "a:1")]


def test_untagged_parents_follow_unless_noprune() -> None:
    state = catalog({"b:1": B}, {B: A})
    r = removal(state)
    r.remove(B, "b:1", force=False, prune=True)
    assert [what for _, what in r.records if what in (A, B)] == [B, A]
    r = removal(state)
    r.remove(B, "b:1", force=False, prune=False)
    assert A in r.catalog.images


def test_prune_dangling_and_all() -> None:
    state = catalog({"a:1": A})
    r = removal(state, container(C))
    r.prune(dangling=True, accept=lambda image: True)
    assert set(r.catalog.images) == {A, C}
    r = removal(state)
    r.prune(dangling=False, accept=lambda image: image.id != C)
    assert set(r.catalog.images) == {C}
    assert ("Untagged", "a:1") in r.records


def test_an_id_prefix_must_be_unique() -> None:
    state = Catalog().with_image("sha256:" + "ab" * 32).with_image("sha256:" + "ac" * 32)
    assert state.search("a") == "" and state.search("") == ""
    assert state.search("ab") == state.search("sha256:ab") == "sha256:" + "ab" * 32
