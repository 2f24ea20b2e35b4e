"""What a server is told of images and buckets by a file."""

from pathlib import Path

import click
import pytest

from tunesmith.cli.serve import served_images
from tunesmith.execution.images import ImageEntry, image_entry
from tunesmith.specs.site import SiteSection, read_section


def test_a_server_finds_folders_and_scripts_of_a_file_wherever_it_runs_them(tmp_path: Path) -> None:
    (tmp_path / "train").mkdir()
    (tmp_path / "train.py").touch()
    file = tmp_path / "site.yaml"
    file.write_text("tunesmith: {images: {a: train, b: python train.py --x=1, c: ./train.py}}")

    pairs = list(served_images(read_section(file)))

    script = str(tmp_path / "train.py")
    assert [image_entry(*pair) for pair in pairs] == [
        ImageEntry("a", tmp_path / "train"),
        ImageEntry("b", None, ("python", script, "--x=1")),
        ImageEntry("c", None, (script,)),
    ]


def test_a_server_installs_nothing_for_an_image_and_says_so(tmp_path: Path) -> None:
    section = SiteSection((ImageEntry("a", tmp_path, install=True),))

    with pytest.raises(click.UsageError, match="leave install out"):
        list(served_images(section))
