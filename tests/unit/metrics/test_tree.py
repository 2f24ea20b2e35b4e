import os
from pathlib import Path

import pytest

from tunesmith.metrics.tree import Tree

LONG_AGO = 1_000_000_000


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path, "tfevents")


def add(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_a_tree_that_is_not_there_has_no_files(tmp_path: Path) -> None:
    assert Tree(tmp_path / "later", "tfevents").files() == []


def test_files_are_found_at_any_depth_by_part_of_their_name(tree: Tree, tmp_path: Path) -> None:
    wanted = [add(tmp_path / "a/b/c/events.out.tfevents.1"), add(tmp_path / "x.tfevents")]
    add(tmp_path / "a/model.ckpt")
    (tmp_path / "folder.tfevents").mkdir()

    assert tree.files() == wanted


def test_new_and_deleted_files_are_noticed(tree: Tree, tmp_path: Path) -> None:
    first = add(tmp_path / "a/1.tfevents")
    before = tree.files()

    second = add(tmp_path / "b/2.tfevents")
    first.unlink()

    assert (before, tree.files()) == ([first], [second])


def test_a_deleted_folder_is_noticed(tree: Tree, tmp_path: Path) -> None:
    add(tmp_path / "a/1.tfevents")
    tree.files()

    (tmp_path / "a/1.tfevents").unlink()
    (tmp_path / "a").rmdir()

    assert tree.files() == []


def test_a_folder_that_did_not_change_is_not_listed_again(
    tree: Tree, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = add(tmp_path / "a/1.tfevents")
    for folder in (tmp_path / "a", tmp_path):
        os.utime(folder, (LONG_AGO, LONG_AGO))
    tree.files()

    def listed(path: Path) -> None:
        raise AssertionError(path)

    monkeypatch.setattr(os, "scandir", listed)

    assert tree.files() == [wanted]


def test_a_folder_that_changed_just_now_is_listed_again(tree: Tree, tmp_path: Path) -> None:
    tree.files()
    modified = tmp_path.stat().st_mtime_ns
    wanted = add(tmp_path / "1.tfevents")

    os.utime(tmp_path, ns=(modified, modified))

    assert tree.files() == [wanted]


def test_links_to_folders_are_not_followed_and_links_to_files_are(
    tree: Tree, tmp_path: Path
) -> None:
    wanted = add(tmp_path / "a/1.tfevents")
    (tmp_path / "a/circle").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "2.tfevents").symlink_to(wanted)
    (tmp_path / "3.tfevents").symlink_to(tmp_path / "nowhere")

    assert tree.files() == [tmp_path / "2.tfevents", wanted]
